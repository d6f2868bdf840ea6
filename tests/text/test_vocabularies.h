// Small vocabularies as GGUF metadata, for tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "format/metadata.h"
#include "text/bpe_tokenizer.h"
#include "text/byte_level.h"
#include "text/loaders.h"
#include "text/unicode.h"

namespace lamina::text {

/// The 256 characters of the byte-level alphabet, by byte.
inline std::vector<std::string> VisibleBytes() {
  std::vector<std::string> visible(256);
  for (char32_t c = 0; c < 400; ++c) {
    std::string text;
    AppendUtf8(text, c);
    if (const auto bytes = BytesOfVisible(text)) {
      visible[static_cast<uint8_t>((*bytes)[0])] = text;
    }
  }
  return visible;
}

struct TestVocabulary {
  std::vector<std::string> tokens;
  std::vector<int64_t> types;
  std::vector<double> scores;
  std::vector<std::string> merges;

  void Add(const std::string& token, TokenType type = TokenType::kNormal, double score = 0) {
    tokens.push_back(token);
    types.push_back(static_cast<int64_t>(type));
    scores.push_back(score);
  }
};

/// 256 bytes, then "he" 256, "ll" 257, "hell" 258, "hello" 259, " hello" 260, <|im_end|> 261
/// (control), <tool> 262 (user-defined), <s> 263 (control).
inline TestVocabulary ByteLevelVocabulary() {
  TestVocabulary v;
  for (const std::string& token : VisibleBytes()) v.Add(token);
  for (const char* token : {"he", "ll", "hell", "hello", "\u0120hello"}) v.Add(token);
  v.merges = {"h e", "l l", "he ll", "hell o", "\u0120 hello"};
  v.Add("<|im_end|>", TokenType::kControl);
  v.Add("<tool>", TokenType::kUserDefined);
  v.Add("<s>", TokenType::kControl);
  return v;
}

/// <unk> 0, <s> 1, </s> 2, bytes 3..258, then pieces with scores; "ab" 264 beats "bc" 265.
inline TestVocabulary SpmVocabulary() {
  TestVocabulary v;
  v.Add("<unk>", TokenType::kUnknown);
  v.Add("<s>", TokenType::kControl);
  v.Add("</s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte) v.Add(fmt::format("<0x{:02X}>", byte), TokenType::kByte);
  const char* pieces[] = {"\u2581", "a", "b", "c", "d", "ab", "bc", "\u2581ab", "cd"};
  const double scores[] = {-10, -11, -12, -13, -14, -1, -2, -3, -2};
  for (int i = 0; i < 9; ++i) v.Add(pieces[i], TokenType::kNormal, scores[i]);
  return v;
}

inline format::Metadata BpeMetadata(const TestVocabulary& v, const std::string& pre = "llama-bpe") {
  format::Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("gpt2"));
  metadata.Set("tokenizer.ggml.pre", pre);
  metadata.Set("tokenizer.ggml.tokens", v.tokens);
  metadata.Set("tokenizer.ggml.token_type", v.types);
  metadata.Set("tokenizer.ggml.merges", v.merges);
  return metadata;
}

inline format::Metadata SpmMetadata(const TestVocabulary& v) {
  format::Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("llama"));
  metadata.Set("tokenizer.ggml.tokens", v.tokens);
  metadata.Set("tokenizer.ggml.token_type", v.types);
  metadata.Set("tokenizer.ggml.scores", v.scores);
  return metadata;
}

inline Result<std::unique_ptr<const Tokenizer>> MakeTokenizer(const format::Metadata& metadata) {
  return std::make_unique<const BpeTokenizer>(TRY(PartsFromGguf(metadata)));
}

}  // namespace lamina::text
