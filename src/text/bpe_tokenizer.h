// The one tokenizer behind every format: added tokens, normalizer, splitters, merges, fallback.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/merging.h"
#include "text/normalizer.h"
#include "text/splitter.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace lamina::text {

/// U+2581, which stands for a space inside the tokens of sentencepiece vocabularies.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// `text` with a space mark for every space.
std::string MarkSpaces(std::string_view text);

/// All that a loader reads out of a file.
struct TokenizerParts {
  /// What a symbol is before anything is merged: a byte of the text, or a character.
  enum class Alphabet { kBytes, kChars };

  std::unique_ptr<Vocabulary> vocabulary = std::make_unique<Vocabulary>();
  Alphabet alphabet = Alphabet::kBytes;
  std::unique_ptr<const MergeRules> merges;  ///< Ids from n_tokens on stand for `absent`.
  std::vector<std::string> absent;           ///< Results of merges that are no tokens.
  bool ignore_merges = false;                ///< A piece that is a token needs no merges.
  /// kBytes: the symbols. kChars: what a character without a token falls back to.
  ByteTokens byte_tokens;
  TokenId unknown = -1;           ///< For what has no token and no byte tokens; -1: it is left out.
  bool fuse_unknown = false;      ///< A run of unknown characters is one token.
  std::vector<AddedToken> added;  ///< Found in the text as it is.
  std::vector<AddedToken> added_normalized;  ///< Found in the normalized text.
  Normalizer normalizer;
  Normalizer rewriter;  ///< What pre-tokenizers change, behind `added_normalized`.
  std::vector<std::unique_ptr<const Splitter>> splitters;
  bool drops_leading_space = false;

  TokenId bos = -1;
  TokenId eos = -1;
  bool adds_bos = false;
  std::vector<TokenId> end_of_generation;  ///< Besides eos and the well-known names.
};

class BpeTokenizer final : public Tokenizer {
 public:
  /// The parts are validated: ids in range, merges and splitters not null.
  explicit BpeTokenizer(TokenizerParts parts);

  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options) const override;
  std::vector<TokenId> EncodeSpans(std::string_view text, std::span<const TextSpan> special,
                                   bool add_bos) const override;
  std::string TokenBytes(TokenId id, bool special) const override;
  bool DropsLeadingSpace() const override { return parts_.drops_leading_space; }
  TokenId Find(std::string_view token) const override;

 private:
  class Encoding;
  friend class Encoding;

  void CollectSpecialTokens();
  void FindJoinedBytes();

  TokenizerParts parts_;
  AddedTokens added_;
  AddedTokens added_normalized_;
  /// Whether some token has a space mark directly behind this byte.
  std::array<bool, 256> joins_mark_ = {};
};

}  // namespace lamina::text
