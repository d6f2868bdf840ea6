// Tokenizers from the metadata of a GGUF file (keys tokenizer.ggml.*).
#include <algorithm>
#include <cmath>
#include <limits>

#include "format/quote.h"
#include "text/byte_level.h"
#include "text/loaders.h"

namespace lamina::text {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr size_t kMaxTokens = 1 << 24;

struct TokenLists {
  const std::vector<std::string>* tokens;
  std::vector<TokenType> types;
};

Result<TokenLists> ReadTokenLists(const format::Metadata& metadata, bool bytes_by_name) {
  TokenLists lists;
  lists.tokens = TRY(metadata.GetStrings(kTokens));
  const size_t n_tokens = lists.tokens->size();
  if (n_tokens == 0 || n_tokens > kMaxTokens) {
    return Error(Code::kInvalidArgument, "{} has {} elements; 1 to {} are possible", kTokens,
                 n_tokens, kMaxTokens);
  }
  lists.types.assign(n_tokens, TokenType::kNormal);
  if (metadata.Find(kTypes) == nullptr) {
    for (size_t i = 0; bytes_by_name && i < n_tokens; ++i) {
      if (ByteOfName((*lists.tokens)[i]) >= 0) lists.types[i] = TokenType::kByte;
    }
    return lists;
  }
  const std::vector<int64_t> types = TRY(metadata.GetInts(kTypes));
  if (types.size() != n_tokens) {
    return Error(Code::kInvalidArgument, "{} has {} elements, but {} has {}", kTypes, types.size(),
                 kTokens, n_tokens);
  }
  for (size_t i = 0; i < n_tokens; ++i) {
    if (types[i] < 0 || types[i] > static_cast<int64_t>(TokenType::kByte)) {
      return Error(Code::kInvalidArgument, "{}[{}] is {}; 0 to 6 are possible", kTypes, i,
                   types[i]);
    }
    if (types[i] != 0 && types[i] != static_cast<int64_t>(TokenType::kUnused)) {
      lists.types[i] = static_cast<TokenType>(types[i]);
    }
    if (lists.types[i] == TokenType::kByte && ByteOfName((*lists.tokens)[i]) < 0) {
      return Error(Code::kInvalidArgument,
                   "{}[{}] is {}, but its type is byte; it must be <0x00> to <0xFF>", kTokens, i,
                   format::Quote((*lists.tokens)[i]));
    }
  }
  return lists;
}

/// The id under `key`, or -1 where the key is absent.
Result<TokenId> ReadId(const format::Metadata& metadata, std::string_view key, int32_t n_tokens) {
  if (metadata.Find(key) == nullptr) return -1;
  const uint64_t id = TRY(metadata.GetUint(key));
  if (id >= static_cast<uint64_t>(n_tokens)) {
    return Error(Code::kInvalidArgument, "{} is {}, but there are {} tokens", key, id, n_tokens);
  }
  return static_cast<TokenId>(id);
}

/// What `<0x41>` and the like, and special tokens, mean in both kinds of vocabulary. Returns
/// whether the token is done.
bool AddIfNotText(TokenizerParts& parts, const std::string& token, TokenType type, TokenId id) {
  switch (type) {
    case TokenType::kByte: {
      const auto byte = static_cast<uint8_t>(ByteOfName(token));
      parts.vocabulary->Add(std::string(1, static_cast<char>(byte)), type);
      if (parts.byte_tokens.id[byte] < 0) parts.byte_tokens.id[byte] = id;
      return true;
    }
    case TokenType::kControl:
    case TokenType::kUnknown:
    case TokenType::kUserDefined:
      parts.vocabulary->Add(token, type);
      parts.added.push_back({token, id, type != TokenType::kUserDefined});
      return true;
    case TokenType::kNormal:
    case TokenType::kUnused:
      return false;
  }
  return false;
}

Result<> ReadMerges(const format::Metadata& metadata, TokenizerParts& parts) {
  const std::vector<std::string>& merges = *TRY(metadata.GetStrings(kMerges));
  if (merges.size() > kMaxTokens) {
    return Error(Code::kInvalidArgument, "{} has {} elements; up to {} are possible", kMerges,
                 merges.size(), kMaxTokens);
  }
  MergeListBuilder builder(parts, merges.size(), /*strict=*/false, std::string(kMerges));
  for (size_t i = 0; i < merges.size(); ++i) {
    // Sides may begin with a space of their own.
    const size_t space = merges[i].find(' ', 1);
    if (space == std::string::npos) {
      return Error(Code::kInvalidArgument, "{}[{}] is {}; it must be two tokens with a space",
                   kMerges, i, format::Quote(merges[i]));
    }
    const std::string_view merge = merges[i];
    TRY(builder.Add(merge.substr(0, space), merge.substr(space + 1)));
  }
  builder.Finish();
  return {};
}

/// Byte-level BPE, and Gemma 4's BPE over characters.
Result<TokenizerParts> BpeParts(const format::Metadata& metadata, std::string_view model) {
  std::string pre = model == "gemma4" ? "gemma4" : "";
  if (pre.empty()) {
    if (metadata.Find("tokenizer.ggml.pre") == nullptr) {
      return Error(Code::kUnimplemented,
                   "tokenizer.ggml.pre is missing, so nobody can know how this model splits text; "
                   "convert the model again, or set it to one of: {}",
                   PreTokenizerNames());
    }
    pre = TRY(metadata.GetString("tokenizer.ggml.pre"));
  }
  const PreTokenizer* pre_tokenizer = FindPreTokenizer(pre);
  if (pre_tokenizer == nullptr) {
    return Error(Code::kUnimplemented,
                 "tokenizer.ggml.pre is {}, which is not supported; supported are: {}",
                 format::Quote(pre), PreTokenizerNames());
  }
  TokenizerParts parts;
  const bool over_chars = pre == "gemma4";
  parts.alphabet = over_chars ? TokenizerParts::Alphabet::kChars : TokenizerParts::Alphabet::kBytes;
  parts.ignore_merges = pre_tokenizer->ignore_merges;
  parts.adds_bos = pre_tokenizer->adds_bos;
  if (pre_tokenizer->nfc) parts.normalizer.AddForm(Normalizer::Form::kNfc);
  if (over_chars) {
    parts.normalizer.AddReplacement(" ", std::string(kSpaceMark));
    parts.fuse_unknown = true;
  }
  parts.splitters.push_back(MakePatternSplitter(pre_tokenizer->piece_end));

  const TokenLists lists = TRY(ReadTokenLists(metadata, over_chars));
  parts.vocabulary->Reserve(lists.tokens->size());
  for (size_t i = 0; i < lists.tokens->size(); ++i) {
    const std::string& token = (*lists.tokens)[i];
    const auto id = static_cast<TokenId>(i);
    if (AddIfNotText(parts, token, lists.types[i], id)) continue;
    std::optional<std::string> bytes;
    if (!over_chars) bytes = BytesOfVisible(token);
    const bool is_reachable = over_chars || bytes.has_value();
    parts.vocabulary->Add(bytes ? *bytes : token,
                          is_reachable ? TokenType::kNormal : TokenType::kUnused);
    if (!over_chars && bytes && bytes->size() == 1) {
      TokenId& byte_token = parts.byte_tokens.id[static_cast<uint8_t>((*bytes)[0])];
      if (byte_token < 0) byte_token = id;
    }
  }
  parts.vocabulary->BuildIndex();
  TRY(ReadMerges(metadata, parts));
  return parts;
}

/// Phi-3's special tokens swallow the white space behind them; GGUF has no field for that.
void MarkPhi3SpecialTokens(TokenizerParts& parts) {
  for (AddedToken& token : parts.added) {
    token.rstrip = token.text != "<unk>" && token.text != "<s>" && token.text != "<|endoftext|>";
  }
}

/// Sentencepiece vocabularies with scores.
Result<TokenizerParts> SpmParts(const format::Metadata& metadata) {
  TokenizerParts parts;
  parts.alphabet = TokenizerParts::Alphabet::kChars;
  parts.fuse_unknown = true;
  parts.adds_bos = true;
  const TokenLists lists = TRY(ReadTokenLists(metadata, /*bytes_by_name=*/true));
  const size_t n_tokens = lists.tokens->size();
  parts.vocabulary->Reserve(n_tokens);
  const std::vector<double> scores = TRY(metadata.GetFloats(kScores));
  if (scores.size() != n_tokens) {
    return Error(Code::kInvalidArgument, "{} has {} elements, but {} has {}", kScores,
                 scores.size(), kTokens, n_tokens);
  }
  for (size_t i = 0; i < n_tokens; ++i) {
    if (std::isnan(scores[i])) {
      return Error(Code::kInvalidArgument, "{}[{}] is not a number", kScores, i);
    }
    const auto id = static_cast<TokenId>(i);
    if (lists.types[i] == TokenType::kUserDefined) {
      // Sentencepiece finds these in the normalized text.
      const std::string marked = MarkSpaces((*lists.tokens)[i]);
      parts.vocabulary->Add(marked, TokenType::kUserDefined);
      parts.added_normalized.push_back({marked, id, /*special=*/false});
    } else if (!AddIfNotText(parts, (*lists.tokens)[i], lists.types[i], id)) {
      parts.vocabulary->Add((*lists.tokens)[i], TokenType::kNormal);
    }
  }
  parts.vocabulary->BuildIndex();
  parts.merges = std::make_unique<ConcatMerges>(*parts.vocabulary, RanksOfScores(scores));

  const bool add_space = TRY(metadata.GetBoolOr("tokenizer.ggml.add_space_prefix", true));
  if (add_space) parts.normalizer.AddPrefix(std::string(kSpaceMark));
  parts.normalizer.AddReplacement(" ", std::string(kSpaceMark));
  parts.drops_leading_space = add_space;
  const std::string architecture = TRY(metadata.GetStringOr("general.architecture", ""));
  if (architecture == "phi3") MarkPhi3SpecialTokens(parts);
  return parts;
}

}  // namespace

Result<TokenizerParts> PartsFromGguf(const format::Metadata& metadata) {
  const std::string model = TRY(metadata.GetString("tokenizer.ggml.model"));
  TokenizerParts parts;
  if (model == "gpt2" || model == "gemma4") {
    parts = TRY(BpeParts(metadata, model));
  } else if (model == "llama") {
    parts = TRY(SpmParts(metadata));
  } else {
    return Error(Code::kUnimplemented,
                 "tokenizer.ggml.model is {}, which is not supported; supported are: gpt2, gemma4, "
                 "llama",
                 format::Quote(model));
  }
  const int32_t n_tokens = parts.vocabulary->n_tokens();
  parts.bos = TRY(ReadId(metadata, "tokenizer.ggml.bos_token_id", n_tokens));
  parts.eos = TRY(ReadId(metadata, "tokenizer.ggml.eos_token_id", n_tokens));
  parts.unknown = TRY(ReadId(metadata, "tokenizer.ggml.unknown_token_id", n_tokens));
  parts.end_of_generation = {TRY(ReadId(metadata, "tokenizer.ggml.eot_token_id", n_tokens)),
                             TRY(ReadId(metadata, "tokenizer.ggml.eom_token_id", n_tokens))};
  const bool adds_bos = TRY(metadata.GetBoolOr("tokenizer.ggml.add_bos_token", parts.adds_bos));
  // Files of Gemma 4 say false, which the model does not bear.
  const bool is_gemma4 =
      parts.adds_bos && parts.alphabet == TokenizerParts::Alphabet::kChars && model != "llama";
  parts.adds_bos = adds_bos || is_gemma4;
  if (model == "llama") {
    // The sentencepiece defaults.
    const auto has = [&](TokenId id) { return id < n_tokens; };
    if (parts.bos < 0 && has(1)) parts.bos = 1;
    if (parts.eos < 0 && has(2)) parts.eos = 2;
    if (parts.unknown < 0) parts.unknown = 0;
  } else if (parts.alphabet == TokenizerParts::Alphabet::kBytes) {
    // Every byte has a token in a sound vocabulary; what has none is left out, as in the reference.
    parts.unknown = -1;
  }
  return parts;
}

}  // namespace lamina::text
