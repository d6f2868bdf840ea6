#include "text_bridge/content_marks.h"

#include <algorithm>

namespace lamina::text_bridge {
namespace {

constexpr char32_t kFirstPrivate = 0xF0000, kLastPrivate = 0x10FFFD;

/// Decodes the character at `at` and moves past it; a byte that is no UTF-8 is its own character.
char32_t Next(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = byte(at);
  const int n_more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  char32_t code = n_more == 0 ? first : first & (0x3Fu >> n_more);
  for (int i = 1; i <= n_more; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) {
      ++at;
      return 0xDC00 + first;  // Never a character of UTF-8.
    }
    code = code << 6 | (byte(at + i) & 0x3F);
  }
  at += 1 + n_more;
  return code;
}

void Append(char32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

bool IsSpace(char32_t code) {
  return code <= ' ' || code == 0x85 || code == 0xA0 || (code >= 0x2000 && code <= 0x200F) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x3000;
}

bool IsAsciiWord(char32_t code) {
  return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
         (code >= 'A' && code <= 'Z');
}

}  // namespace

SpecialTokens::SpecialTokens(std::vector<std::string> texts) : by_first_byte_(257, 0) {
  std::erase_if(texts, [](const std::string& text) { return text.empty(); });
  std::sort(texts.begin(), texts.end(), [](const std::string& a, const std::string& b) {
    const auto first_a = static_cast<unsigned char>(a[0]);
    const auto first_b = static_cast<unsigned char>(b[0]);
    if (first_a != first_b) return first_a < first_b;
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  texts_ = std::move(texts);
  std::set<char32_t> characters;
  for (const std::string& text : texts_) {
    ++by_first_byte_[static_cast<unsigned char>(text[0]) + 1];
    for (size_t at = 0; at < text.size();) {
      const char32_t code = Next(text, at);
      if (!IsSpace(code)) characters.insert(code);
    }
  }
  for (int b = 0; b < 256; ++b) by_first_byte_[b + 1] += by_first_byte_[b];
  characters_.assign(characters.begin(), characters.end());
}

int SpecialTokens::MatchAt(std::string_view text, size_t at,
                           const std::vector<bool>* marked) const {
  const auto first = static_cast<unsigned char>(text[at]);
  for (int t = by_first_byte_[first]; t < by_first_byte_[first + 1]; ++t) {
    const std::string& token = texts_[t];
    if (text.compare(at, token.size(), token) != 0) continue;
    if (marked == nullptr || std::none_of(marked->begin() + static_cast<int64_t>(at),
                                          marked->begin() + static_cast<int64_t>(at + token.size()),
                                          [](bool m) { return m; })) {
      return t;
    }
  }
  return -1;
}

std::vector<TokenSpan> SpecialTokens::FindGenuine(const Unmarked& prompt) const {
  std::vector<TokenSpan> spans;
  for (size_t at = 0; at < prompt.text.size();) {
    const int token = MatchAt(prompt.text, at, &prompt.marked);
    if (token < 0) {
      ++at;
      continue;
    }
    spans.push_back({at, at + texts_[token].size(), token});
    at = spans.back().end;
  }
  return spans;
}

bool SpecialTokens::OccursIn(std::string_view text, size_t begin, size_t end) const {
  for (size_t at = begin; at < end; ++at) {
    if (MatchAt(text, at, nullptr) >= 0) return true;
  }
  return false;
}

Result<ContentMarks> ContentMarks::Choose(const SpecialTokens& tokens,
                                          std::span<const std::string_view> inputs) {
  std::set<char32_t> used;
  for (const std::string_view input : inputs) {
    for (size_t at = 0; at < input.size();) {
      const char32_t code = Next(input, at);
      if (code >= kFirstPrivate) used.insert(code);
    }
  }
  ContentMarks marks;
  char32_t mark = kFirstPrivate;
  for (const char32_t character : tokens.characters()) {
    while (used.count(mark) || (mark & 0xFFFE) == 0xFFFE) ++mark;
    if (mark > kLastPrivate) {
      return Error(Code::kInvalidArgument,
                   "messages contain all private-use characters of Unicode; remove some");
    }
    marks.to_mark_[character] = mark;
    marks.from_mark_[mark++] = character;
  }
  return marks;
}

std::string ContentMarks::Mark(std::string_view text, MarkLevel level,
                               std::span<const std::string> exempt) const {
  std::string out;
  out.reserve(text.size() * 2);
  for (size_t at = 0; at < text.size();) {
    const auto literal = std::find_if(exempt.begin(), exempt.end(), [&](const std::string& e) {
      return text.compare(at, e.size(), e) == 0;
    });
    if (literal != exempt.end()) {
      out += *literal;
      at += literal->size();
      continue;
    }
    const size_t begin = at;
    const char32_t code = Next(text, at);
    const auto mark = to_mark_.find(code);
    if (mark == to_mark_.end() || (level == MarkLevel::kPunctuation && IsAsciiWord(code))) {
      out += text.substr(begin, at - begin);
    } else {
      Append(mark->second, out);
    }
  }
  return out;
}

Unmarked ContentMarks::Unmark(std::string_view rendered) const {
  Unmarked result;
  result.text.reserve(rendered.size());
  for (size_t at = 0; at < rendered.size();) {
    const size_t begin = at;
    const auto character = from_mark_.find(Next(rendered, at));
    if (character == from_mark_.end()) {
      result.text += rendered.substr(begin, at - begin);
    } else {
      Append(character->second, result.text);
    }
    result.marked.resize(result.text.size(), character != from_mark_.end());
  }
  return result;
}

}  // namespace lamina::text_bridge
