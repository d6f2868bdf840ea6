// Text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/model_source.h"

namespace lamina::text {

using TokenId = int32_t;

/// What Encode does besides splitting text.
struct EncodeOptions {
  /// Read special tokens ("<|im_end|>") in the text as what they name. Off: they are plain text,
  /// as everything that a user wrote must be.
  bool parse_special = false;
  /// Put the beginning-of-sequence token first where the model asks for one.
  bool add_bos = false;
};

/// A range of bytes of a text.
struct TextSpan {
  size_t begin;
  size_t end;
};

/// An immutable vocabulary with its splitter; safe from any thread.
class Tokenizer {
 public:
  /// From GGUF metadata, or from tokenizer.json / tokenizer.model beside a Hugging Face config.
  /// Errors: kUnimplemented names an unknown model or pre-tokenizer with those supported;
  /// kInvalidArgument names the field.
  static Result<std::unique_ptr<const Tokenizer>> Create(const format::ModelSource& source);

  virtual ~Tokenizer() = default;

  /// Bytes of any kind encode; invalid UTF-8 is handled as the reference does (U+FFFD).
  virtual std::vector<TokenId> Encode(std::string_view text,
                                      const EncodeOptions& options) const = 0;
  /// As Encode; special tokens are read where they lie wholly inside one of `special` (ascending,
  /// disjoint). Text on both sides of a span's border is still split as one text.
  virtual std::vector<TokenId> EncodeSpans(std::string_view text, std::span<const TextSpan> special,
                                           bool add_bos) const = 0;
  /// The bytes that a token stands for in running text; control tokens give "" unless
  /// `special`, then their name. Out-of-range ids give "".
  virtual std::string TokenBytes(TokenId id, bool special = false) const = 0;
  /// All tokens' bytes joined, with what the model's decoder does at the start (SPM drops one
  /// leading space).
  std::string Decode(std::span<const TokenId> ids, bool special = false) const;
  /// Whether Decode drops one leading space.
  virtual bool DropsLeadingSpace() const { return false; }

  int32_t n_vocab() const { return n_vocab_; }
  TokenId bos() const { return bos_; }         ///< -1 where there is none.
  bool adds_bos() const { return adds_bos_; }  ///< Whether prompts begin with bos().
  TokenId eos() const { return eos_; }         ///< -1 where there is none.
  bool IsEndOfGeneration(TokenId id) const;    ///< Any of the tokens that end an answer.
  bool IsControl(TokenId id) const;            ///< A special token that is not text.
  const std::vector<TokenId>& end_of_generation() const { return eog_; }
  /// The id of a token by its text as TokenBytes(id, true) gives it, or -1.
  virtual TokenId Find(std::string_view token) const = 0;
  /// The special tokens' texts: what must stay text in a user's message.
  const std::vector<std::string>& special_tokens() const { return special_tokens_; }

 protected:
  int32_t n_vocab_ = 0;
  TokenId bos_ = -1;
  TokenId eos_ = -1;
  bool adds_bos_ = false;
  std::vector<TokenId> eog_;
  std::vector<bool> is_control_;
  std::vector<std::string> special_tokens_;
};

/// Turns a stream of ids into text that never ends inside a UTF-8 sequence.
class Detokenizer {
 public:
  /// `at_start`: the stream begins a text, so that Decode would drop its leading space; false where
  /// it continues a text that was shown before. The tokenizer outlives this.
  explicit Detokenizer(const Tokenizer& tokenizer, bool at_start = true)
      : tokenizer_(tokenizer), at_start_(at_start) {}
  /// The text that became complete with this token, possibly empty.
  std::string Push(TokenId id);
  /// What is left at the end: an unfinished sequence as U+FFFD.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;
  bool at_start_;
};

}  // namespace lamina::text
