// Tokenizers from Mistral's tekken.json: byte strings in the order of their merges.
#include <nlohmann/json.hpp>

#include "format/json.h"
#include "format/quote.h"
#include "text/json_stream.h"
#include "text/loaders.h"
#include "text/pre_tokenizer.h"
#include "text/regex_splitter.h"

namespace lamina::text {
namespace {

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int n_bits = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    uint32_t value;
    if (c >= 'A' && c <= 'Z') {
      value = c - 'A';
    } else if (c >= 'a' && c <= 'z') {
      value = c - 'a' + 26;
    } else if (c >= '0' && c <= '9') {
      value = c - '0' + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      return std::nullopt;
    }
    bits = bits << 6 | value;
    n_bits += 6;
    if (n_bits >= 8) {
      n_bits -= 8;
      bytes.push_back(static_cast<char>(bits >> n_bits & 0xFF));
    }
  }
  return bytes;
}

struct Tekken {
  std::string pattern;
  uint64_t vocab_size = 0;
  uint64_t n_special = 0;
  std::vector<std::string> vocab;  ///< token_bytes, by rank
  struct Special {
    uint64_t rank = 0;
    std::string text;
    bool is_control = true;
  };
  std::vector<Special> special;
};

/// Takes the few fields that matter; everything else is passed over.
class Events final : public JsonStream {
 public:
  explicit Events(Tekken& tekken) : t_(tekken) {}

  bool null() override { return true; }
  bool boolean(bool value) override {
    if (InEntryOf("special_tokens") && key_ == "is_control") special_.is_control = value;
    return true;
  }
  bool number_integer(number_integer_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool number_unsigned(number_unsigned_t value) override {
    if (path_.size() == 2 && path_[1] == "config") {
      if (key_ == "default_vocab_size") t_.vocab_size = value;
      if (key_ == "default_num_special_tokens") t_.n_special = value;
    }
    if (key_ == "rank") {
      if (InEntryOf("vocab") && value != t_.vocab.size()) {
        return Fail(
            fmt::format("vocab[{}].rank is {}; ranks must ascend from 0", t_.vocab.size(), value));
      }
      if (InEntryOf("special_tokens")) special_.rank = value;
    }
    return true;
  }
  bool string(string_t& value) override {
    if (path_.size() == 2 && path_[1] == "config" && key_ == "pattern") t_.pattern = value;
    if (InEntryOf("vocab") && key_ == "token_bytes") {
      std::optional<std::string> bytes = DecodeBase64(value);
      if (!bytes || bytes->empty()) {
        return Fail(fmt::format("vocab[{}].token_bytes is not base64", t_.vocab.size()));
      }
      bytes_ = std::move(*bytes);
    }
    if (InEntryOf("special_tokens") && key_ == "token_str") special_.text = value;
    return true;
  }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool start_object(std::size_t) override { return Open(); }
  bool start_array(std::size_t) override { return Open(); }
  bool end_array() override {
    path_.pop_back();
    return true;
  }
  bool end_object() override {
    if (InEntryOf("vocab")) {
      if (bytes_.empty()) {
        return Fail(fmt::format("vocab[{}].token_bytes is missing", t_.vocab.size()));
      }
      t_.vocab.push_back(std::move(bytes_));
      bytes_.clear();
    }
    if (InEntryOf("special_tokens")) {
      t_.special.push_back(std::move(special_));
      special_ = {};
    }
    path_.pop_back();
    return true;
  }

 private:
  bool InEntryOf(std::string_view list) const { return path_.size() == 3 && path_[1] == list; }
  bool Open() {
    if (path_.size() >= static_cast<size_t>(format::kMaxJsonDepth)) {
      return Fail(fmt::format("JSON is nested deeper than {}", format::kMaxJsonDepth));
    }
    path_.push_back(key_);
    return true;
  }

  Tekken& t_;
  std::vector<std::string> path_;  ///< Keys of the open objects and arrays.
  std::string key_;
  std::string bytes_;
  Tekken::Special special_;
};

}  // namespace

Result<TokenizerParts> PartsFromTekken(std::string_view content) {
  Tekken tekken;
  TRY(Events(tekken).Run(content));
  if (tekken.vocab_size <= tekken.n_special ||
      tekken.vocab_size - tekken.n_special > tekken.vocab.size()) {
    return Error(Code::kInvalidArgument,
                 "config.default_vocab_size is {}; with {} special tokens and {} others it must be "
                 "between",
                 tekken.vocab_size, tekken.n_special, tekken.vocab.size());
  }
  TokenizerParts parts;
  std::vector<uint32_t> ranks(tekken.n_special, 0);
  std::vector<std::string> special_names(tekken.n_special);
  for (const Tekken::Special& special : tekken.special) {
    if (special.rank >= tekken.n_special) {
      return Error(Code::kInvalidArgument, "special_tokens: the rank {} of {} must be below {}",
                   special.rank, format::Quote(special.text), tekken.n_special);
    }
    special_names[special.rank] = special.text;
  }
  if (tekken.special.empty() && tekken.n_special >= 3) {
    // Files of the first versions leave out what all of them share.
    special_names[0] = "<unk>";
    special_names[1] = "<s>";
    special_names[2] = "</s>";
  }
  for (size_t i = 0; i < special_names.size(); ++i) {
    parts.vocabulary->Add(special_names[i], TokenType::kControl);
    if (!special_names[i].empty()) {
      parts.added.push_back({special_names[i], static_cast<TokenId>(i), /*special=*/true});
    }
  }
  const uint64_t n_text = tekken.vocab_size - tekken.n_special;
  for (uint64_t rank = 0; rank < n_text; ++rank) {
    const std::string& bytes = tekken.vocab[rank];
    const auto id = static_cast<TokenId>(tekken.n_special + rank);
    if (bytes.size() == 1) parts.byte_tokens.id[static_cast<uint8_t>(bytes[0])] = id;
    parts.vocabulary->Add(bytes, TokenType::kNormal);
    ranks.push_back(static_cast<uint32_t>(rank));
  }
  parts.vocabulary->BuildIndex();
  parts.merges = std::make_unique<ConcatMerges>(*parts.vocabulary, std::move(ranks));
  parts.ignore_merges = true;
  if (const PieceEnd known = FindPattern(tekken.pattern)) {
    parts.splitters.push_back(MakePatternSplitter(known));
  } else {
    auto splitter = MakeRegexSplitter(tekken.pattern, SplitBehavior::kIsolated, false);
    if (!splitter) return Error(splitter.error().Prefixed("config.pattern"));
    parts.splitters.push_back(std::move(*splitter));
  }
  parts.bos = parts.vocabulary->FindAny("<s>");
  parts.eos = parts.vocabulary->FindAny("</s>");
  parts.adds_bos = parts.bos >= 0;
  return parts;
}

}  // namespace lamina::text
