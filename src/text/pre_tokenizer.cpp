#include "text/pre_tokenizer.h"

#include "text/unicode.h"

namespace lamina::text {
namespace {

/// What differs between the patterns of the family
///   contraction | prefix? letters | numbers | ' '? others newlines* | \s*[\r\n]+ | \s+(?!\S) | \s+
struct Rules {
  enum class Letters { kPlain, kWithMarks, kCased };
  Letters letters;
  bool any_prefix;               ///< [^\r\n\p{L}\p{N}]? before letters; otherwise ' '?.
  bool contraction_first;        ///< 's|'t|'re|'ve|'m|'ll|'d as a piece of its own,
  bool contraction_after;        ///< or at the end of a word.
  bool contraction_any_case;     ///
  uint32_t max_digits;           ///< 0: any number, after ' '?.
  bool digits_alone;             ///< A digit is cut out before anything else looks at the text.
  std::string_view after_other;  ///< What may follow a run of other characters.
  bool newline_pieces;           ///< \s*[\r\n]+
};

/// Reads characters of a text; kEnd behind it.
class Cursor {
 public:
  Cursor(std::string_view text, size_t pos) : text_(text) { MoveTo(pos); }

  void MoveTo(size_t pos) {
    pos_ = pos;
    if (pos >= text_.size()) {
      char_ = {0, 0, false};
      class_ = CharClass::kOther;
      return;
    }
    char_ = DecodeUtf8(text_, pos);
    class_ = ClassOf(char_.code_point);
  }
  void Next() { MoveTo(pos_ + char_.n_bytes); }

  bool AtEnd() const { return pos_ >= text_.size(); }
  size_t pos() const { return pos_; }
  size_t next_pos() const { return pos_ + char_.n_bytes; }
  char32_t code_point() const { return char_.code_point; }
  CharClass char_class() const { return class_; }
  bool Is(char32_t c) const { return !AtEnd() && char_.code_point == c; }
  bool IsNewline() const { return Is('\r') || Is('\n'); }
  bool IsLetter() const { return text::IsLetter(class_); }

 private:
  std::string_view text_;
  size_t pos_;
  Utf8Char char_;
  CharClass class_;
};

/// The end of a contraction that begins at `pos`, or `pos`.
size_t ContractionEnd(std::string_view text, size_t pos, bool any_case) {
  if (pos >= text.size() || text[pos] != '\'') return pos;
  const auto at = [&](size_t offset) -> char {
    if (pos + offset >= text.size()) return '\0';
    const char c = text[pos + offset];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  const char first = at(1);
  const char second = at(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return pos + 2;
  // U+017F, the long s, is an s where case is ignored.
  if (any_case && text.substr(pos + 1, 2) == "\xC5\xBF") return pos + 3;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
      (first == 'l' && second == 'l')) {
    return pos + 3;
  }
  return pos;
}

template <const Rules& kRules>
bool IsWordChar(CharClass c) {
  return IsLetter(c) || (kRules.letters != Rules::Letters::kPlain && c == CharClass::kMark);
}

template <const Rules& kRules>
bool IsOther(const Cursor& c) {
  if (c.AtEnd()) return false;
  return c.char_class() == CharClass::kOther ||
         (c.char_class() == CharClass::kMark && kRules.letters != Rules::Letters::kWithMarks);
}

bool IsSmall(CharClass c) {
  return c == CharClass::kLower || c == CharClass::kLetter || c == CharClass::kMark;
}
bool IsCapital(CharClass c) {
  return c == CharClass::kUpper || c == CharClass::kLetter || c == CharClass::kMark;
}

/// [capital]*[small]+ at `pos`, or `pos`. Both classes hold caseless letters and marks, so a run
/// of capitals gives back what follows its last caseless letter.
size_t CapitalsThenSmall(std::string_view text, size_t pos) {
  Cursor c(text, pos);
  size_t after_last_caseless = pos;
  while (!c.AtEnd() && IsCapital(c.char_class())) {
    if (c.char_class() != CharClass::kUpper) after_last_caseless = c.next_pos();
    c.Next();
  }
  if (c.AtEnd() || c.char_class() != CharClass::kLower) return after_last_caseless;
  while (!c.AtEnd() && IsSmall(c.char_class())) c.Next();
  return c.pos();
}

/// [capital]+[small]* at `pos` where CapitalsThenSmall found nothing, or `pos`.
size_t Capitals(std::string_view text, size_t pos) {
  Cursor c(text, pos);
  while (!c.AtEnd() && IsCapital(c.char_class())) c.Next();
  return c.pos();
}

/// A word of the patterns that tell capitals from small letters, or `pos`. `prefix_end` is behind
/// the optional character before it, or `pos` where there is none.
size_t CasedWordEnd(std::string_view text, size_t pos, size_t prefix_end) {
  for (const auto match : {CapitalsThenSmall, Capitals}) {
    for (const size_t begin : {prefix_end, pos}) {
      const size_t end = match(text, begin);
      if (end > begin) return end;
    }
  }
  return pos;
}

template <const Rules& kRules>
size_t WordEnd(std::string_view text, size_t pos, const Cursor& first) {
  const bool has_prefix =
      kRules.any_prefix
          ? !first.IsLetter() && first.char_class() != CharClass::kNumber && !first.IsNewline()
          : first.Is(' ');
  const size_t prefix_end = has_prefix ? first.next_pos() : pos;
  if constexpr (kRules.letters == Rules::Letters::kCased) {
    size_t end = CasedWordEnd(text, pos, prefix_end);
    if (kRules.contraction_after && end > pos) {
      end = ContractionEnd(text, end, kRules.contraction_any_case);
    }
    return end;
  } else {
    Cursor c(text, prefix_end);
    while (!c.AtEnd() && IsWordChar<kRules>(c.char_class())) c.Next();
    if (c.pos() > prefix_end) return c.pos();
    return IsWordChar<kRules>(first.char_class()) ? first.next_pos() : pos;
  }
}

size_t SpaceEnd(Cursor c, bool newline_pieces, bool digits_end_text) {
  const size_t begin = c.pos();
  size_t last_begin = begin;
  size_t newline_end = begin;
  while (!c.AtEnd() && c.char_class() == CharClass::kSpace) {
    if (c.IsNewline()) newline_end = c.next_pos();
    last_begin = c.pos();
    c.Next();
  }
  if (newline_pieces && newline_end > begin) return newline_end;
  // The last space before something else belongs to it, unless it is the only one.
  const bool at_end = c.AtEnd() || (digits_end_text && c.char_class() == CharClass::kNumber);
  return at_end || last_begin == begin ? c.pos() : last_begin;
}

template <const Rules& kRules>
size_t NextPieceEnd(std::string_view text, size_t pos) {
  if (kRules.contraction_first) {
    const size_t end = ContractionEnd(text, pos, kRules.contraction_any_case);
    if (end > pos) return end;
  }
  Cursor c(text, pos);
  if (const size_t end = WordEnd<kRules>(text, pos, c); end > pos) return end;

  if (kRules.max_digits == 0) {
    Cursor digits(text, c.Is(' ') ? c.next_pos() : pos);
    const size_t begin = digits.pos();
    while (!digits.AtEnd() && digits.char_class() == CharClass::kNumber) digits.Next();
    if (digits.pos() > begin) return digits.pos();
  } else if (c.char_class() == CharClass::kNumber) {
    for (uint32_t n = 0; n < kRules.max_digits && c.char_class() == CharClass::kNumber; ++n) {
      c.Next();
    }
    return c.pos();
  }

  Cursor others = c;
  if (c.Is(' ')) others.Next();
  if (IsOther<kRules>(others)) {
    while (IsOther<kRules>(others)) others.Next();
    while (!others.AtEnd() && others.code_point() < 0x80 &&
           kRules.after_other.find(static_cast<char>(others.code_point())) !=
               std::string_view::npos) {
      others.Next();
    }
    return others.pos();
  }
  return SpaceEnd(c, kRules.newline_pieces, kRules.digits_alone);
}

using Letters = Rules::Letters;
constexpr Rules kGpt2 = {Letters::kPlain, false, true, false, false, 0, false, "", false};
constexpr Rules kSmolLm = {Letters::kPlain, false, true, false, false, 1, true, "", false};
constexpr Rules kLlama3 = {Letters::kPlain, true, true, false, true, 3, false, "\r\n", true};
constexpr Rules kQwen2 = {Letters::kPlain, true, true, false, true, 1, false, "\r\n", true};
constexpr Rules kQwen35 = {Letters::kWithMarks, true, true, false, true, 1, false, "\r\n", true};
constexpr Rules kGpt4o = {Letters::kCased, true, false, true, true, 3, false, "\r\n/", true};
constexpr Rules kTekken = {Letters::kCased, true, false, false, false, 1, false, "\r\n/", true};

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr PreTokenizer kTable[] = {
    // name, splitter, ignore_merges, adds_bos, nfc, pattern
    {"gpt-2", Gpt2PieceEnd, false, false, false, kGpt2Pattern},
    {"phi-2", Gpt2PieceEnd, false, false, false, kGpt2Pattern},
    {"mpt", Gpt2PieceEnd, false, false, false, kGpt2Pattern},
    {"olmo", Gpt2PieceEnd, false, false, false, kGpt2Pattern},
    {"exaone4", Gpt2PieceEnd, false, false, false, kGpt2Pattern},
    {"granite-docling", Gpt2PieceEnd, false, false, false, kGpt2Pattern},
    {"smollm", SmolLmPieceEnd, false, false, false, ""},
    {"refact", SmolLmPieceEnd, false, false, false, ""},
    {"starcoder", SmolLmPieceEnd, false, false, false, ""},
    {"command-r", SmolLmPieceEnd, false, false, false, ""},
    {"codeshell", SmolLmPieceEnd, false, false, false, ""},
    {"exaone", SmolLmPieceEnd, false, false, false, ""},
    {"llama-bpe", Llama3PieceEnd, true, true, false, kLlama3Pattern},
    {"llama3", Llama3PieceEnd, true, true, false, kLlama3Pattern},
    {"llama-v3", Llama3PieceEnd, true, true, false, kLlama3Pattern},
    {"lfm2", Llama3PieceEnd, true, true, false, kLlama3Pattern},
    {"falcon3", Llama3PieceEnd, true, true, false, kLlama3Pattern},
    {"pixtral", Llama3PieceEnd, true, true, false, kLlama3Pattern},
    {"dbrx", Llama3PieceEnd, false, false, false, kLlama3Pattern},
    {"smaug-bpe", Llama3PieceEnd, false, false, false, kLlama3Pattern},
    {"glm4", Llama3PieceEnd, true, false, false, kLlama3Pattern},
    {"qwen2", Qwen2PieceEnd, false, false, true, kQwen2Pattern},
    {"deepseek-r1-qwen", Qwen2PieceEnd, false, false, false, kQwen2Pattern},
    {"megrez", Qwen2PieceEnd, false, false, false, kQwen2Pattern},
    {"stablelm2", Qwen2PieceEnd, false, false, false, kQwen2Pattern},
    {"qwen35", Qwen35PieceEnd, false, false, false, kQwen35Pattern},
    {"gpt-4o", Gpt4oPieceEnd, false, false, false, kGpt4oPattern},
    {"llama4", Gpt4oPieceEnd, false, false, false, kGpt4oPattern},
    {"tekken", TekkenPieceEnd, true, true, false, kTekkenPattern},
    {"gemma4", WholeTextEnd, false, true, false, ""},
};

}  // namespace

size_t Gpt2PieceEnd(std::string_view text, size_t pos) { return NextPieceEnd<kGpt2>(text, pos); }
size_t SmolLmPieceEnd(std::string_view text, size_t pos) {
  return NextPieceEnd<kSmolLm>(text, pos);
}
size_t Llama3PieceEnd(std::string_view text, size_t pos) {
  return NextPieceEnd<kLlama3>(text, pos);
}
size_t Qwen2PieceEnd(std::string_view text, size_t pos) { return NextPieceEnd<kQwen2>(text, pos); }
size_t Qwen35PieceEnd(std::string_view text, size_t pos) {
  return NextPieceEnd<kQwen35>(text, pos);
}
size_t Gpt4oPieceEnd(std::string_view text, size_t pos) { return NextPieceEnd<kGpt4o>(text, pos); }
size_t TekkenPieceEnd(std::string_view text, size_t pos) {
  return NextPieceEnd<kTekken>(text, pos);
}
size_t WholeTextEnd(std::string_view text, size_t) { return text.size(); }

std::span<const PreTokenizer> PreTokenizers() { return kTable; }

const PreTokenizer* FindPreTokenizer(std::string_view name) {
  for (const PreTokenizer& row : kTable) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

PieceEnd FindPattern(std::string_view pattern) {
  for (const PreTokenizer& row : kTable) {
    if (!row.pattern.empty() && row.pattern == pattern) return row.piece_end;
  }
  return nullptr;
}

std::string PreTokenizerNames() {
  std::string names;
  for (const PreTokenizer& row : kTable) {
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names;
}

}  // namespace lamina::text
