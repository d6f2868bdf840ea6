// From what a model's files say about its tokenizer to its parts; one function per format.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "format/metadata.h"
#include "text/bpe_tokenizer.h"

namespace lamina::text {

/// From the metadata of a GGUF file. Errors name the field: kInvalidArgument, kNotFound;
/// kUnimplemented for an unknown `tokenizer.ggml.model` or `.pre`.
Result<TokenizerParts> PartsFromGguf(const format::Metadata& metadata);

/// From the tokenizer files in a Hugging Face model's folder: tokenizer.json, tokenizer.model or
/// tekken.json, the first that is there, with tokenizer_config.json and generation_config.json
/// where they are. Errors name the file and the field, as above.
Result<TokenizerParts> PartsFromFolder(const std::string& folder);

/// From the content of one such file.
Result<TokenizerParts> PartsFromTokenizerJson(std::string_view content);
Result<TokenizerParts> PartsFromSentencePiece(std::string_view content);
Result<TokenizerParts> PartsFromTekken(std::string_view content);

/// rank[id] for ConcatMerges: tokens with higher scores merge first; equal scores, equal ranks.
std::vector<uint32_t> RanksOfScores(const std::vector<double>& scores);

/// The number in "<0xNN>" (two hexadecimal digits), or -1.
int ByteOfName(std::string_view token);

/// Merges of a list "left right", shared by the formats: `left` and `right` are looked up among
/// the tokens; what is missing gets an id of its own behind the vocabulary. Where `strict`, a
/// missing token is an error naming `field`.
class MergeListBuilder {
 public:
  MergeListBuilder(TokenizerParts& parts, size_t n_merges, bool strict, std::string field);
  Result<> Add(std::string_view left, std::string_view right);
  void Finish();

 private:
  TokenId IdOf(const std::string& bytes);
  TokenId IdOfResult(const std::string& bytes);

  TokenizerParts& parts_;
  std::unique_ptr<PairMerges> merges_;
  bool strict_;
  std::string field_;
  uint32_t rank_ = 0;
  TokenId last_result_ = -1;
  std::map<std::string, TokenId, std::less<>> absent_;
};

}  // namespace lamina::text
