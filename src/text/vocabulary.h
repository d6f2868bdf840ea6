// The tokens of a model: bytes, type and score by id, and id by bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/hash.h"
#include "text/tokenizer.h"

namespace lamina::text {

/// The values of `tokenizer.ggml.token_type` and of sentencepiece's ModelProto.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      ///< Special: only where asked for.
  kUserDefined = 4,  ///< Found in any text before tokens are merged.
  kUnused = 5,       ///< Here: what no text can become.
  kByte = 6,
};

/// Append-only; lookups are const and safe from any thread.
class Vocabulary {
 public:
  /// Room for so many tokens, which saves moving them about.
  void Reserve(size_t n_tokens);
  /// Adds the next id. Several ids may have equal bytes; Find gives the first.
  void Add(std::string_view bytes, TokenType type);
  /// Builds the index behind Find; call once after the last Add.
  void BuildIndex();

  int32_t n_tokens() const { return static_cast<int32_t>(types_.size()); }
  std::string_view bytes(TokenId id) const {
    return std::string_view(blob_).substr(offsets_[id], offsets_[id + 1] - offsets_[id]);
  }
  TokenType type(TokenId id) const { return types_[id]; }
  /// False where all tokens surely have different bytes. After BuildIndex.
  bool may_have_duplicates() const { return may_have_duplicates_; }
  size_t max_token_bytes() const { return max_token_bytes_; }

  /// The token that merging may produce for these bytes (normal, else user-defined), or -1.
  TokenId FindText(std::string_view bytes) const { return Lookup(bytes, /*text_only=*/true); }
  /// The first token of any type with these bytes, or -1.
  TokenId FindAny(std::string_view bytes) const { return Lookup(bytes, /*text_only=*/false); }

 private:
  TokenId Lookup(std::string_view bytes, bool text_only) const;

  std::string blob_;
  std::vector<uint64_t> offsets_ = {0};
  std::vector<TokenType> types_;
  struct Slot {
    uint32_t hash = 0;  ///< Half of it: what is not there is known without looking at bytes.
    TokenId id = -1;    ///< -1 is free.
  };
  std::vector<Slot> slots_;  ///< Open addressing, a power of two.
  const HashSeed seed_ = HashSeed::OfProcess();
  size_t max_token_bytes_ = 0;
  bool may_have_duplicates_ = false;
};

/// Tokens that stand for one byte each; -1 where the vocabulary has none.
struct ByteTokens {
  TokenId id[256];
  ByteTokens() {
    for (TokenId& i : id) i = -1;
  }
};

}  // namespace lamina::text
