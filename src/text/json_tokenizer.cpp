// Tokenizers from a tokenizer.json (the Python package `tokenizers`).
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "format/quote.h"
#include "text/byte_level.h"
#include "text/loaders.h"
#include "text/regex_splitter.h"
#include "text/tokenizer_json.h"

namespace lamina::text {
namespace {

using format::Quote;
using nlohmann::json;

constexpr uint64_t kMaxTokens = 1 << 24;
constexpr size_t kMaxSteps = 64;

/// Members of one object by name; errors name the object and the member.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  Result<std::string> String(const char* key) const {
    const json* value = Find(key);
    if (value == nullptr || !value->is_string()) return Wrong(key, "a string");
    return value->get<std::string>();
  }
  Result<std::string> StringOr(const char* key, std::string fallback) const {
    return Find(key) ? String(key) : Result<std::string>(std::move(fallback));
  }
  Result<bool> BoolOr(const char* key, bool fallback) const {
    const json* value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) return Wrong(key, "a bool");
    return value->get<bool>();
  }
  Result<const json*> Array(const char* key) const {
    const json* value = Find(key);
    if (value == nullptr || !value->is_array()) return Wrong(key, "an array");
    return value;
  }
  /// Null and absent are the same.
  const json* Find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  const std::string& where() const { return where_; }

 private:
  tl::unexpected<Status> Wrong(const char* key, std::string_view wanted) const {
    return Error(Code::kInvalidArgument, "{}.{} must be {}", where_, key, wanted);
  }

  const json& object_;
  std::string where_;
};

tl::unexpected<Status> Unsupported(const std::string& where, const std::string& found,
                                   std::string_view supported) {
  return Error(Code::kUnimplemented, "{} is {}, which is not supported; supported are: {}", where,
               Quote(found), supported);
}

/// Calls `add` for each step of a component that is null, one step or a Sequence of them.
template <class Add>
Result<> ForEachStep(const json* component, const std::string& where, const char* list, Add add) {
  if (component == nullptr) return {};
  const Fields fields(*component, where);
  const std::string type = TRY(fields.String("type"));
  if (type != "Sequence") return add(fields, type);
  const json& steps = *TRY(fields.Array(list));
  if (steps.size() > kMaxSteps) {
    return Error(Code::kInvalidArgument, "{}.{} has {} steps; up to {} are possible", where, list,
                 steps.size(), kMaxSteps);
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    const Fields step(steps[i], fmt::format("{}.{}[{}]", where, list, i));
    TRY(add(step, TRY(step.String("type"))));
  }
  return {};
}

Result<> AddNormalizer(const Fields& fields, const std::string& type, Normalizer& normalizer) {
  if (type == "NFC") {
    normalizer.AddForm(Normalizer::Form::kNfc);
  } else if (type == "NFD") {
    normalizer.AddForm(Normalizer::Form::kNfd);
  } else if (type == "NFKC") {
    normalizer.AddForm(Normalizer::Form::kNfkc);
  } else if (type == "NFKD") {
    normalizer.AddForm(Normalizer::Form::kNfkd);
  } else if (type == "Prepend") {
    normalizer.AddPrefix(TRY(fields.String("prepend")));
  } else if (type == "Replace") {
    const json* pattern = fields.Find("pattern");
    if (pattern == nullptr || !pattern->contains("String")) {
      return Unsupported(fields.where() + ".pattern", "a regular expression", "String");
    }
    const Fields pattern_fields(*pattern, fields.where() + ".pattern");
    normalizer.AddReplacement(TRY(pattern_fields.String("String")), TRY(fields.String("content")));
  } else {
    return Unsupported(fields.where() + ".type", type,
                       "NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence");
  }
  return {};
}

Result<SplitBehavior> ReadBehavior(const Fields& fields) {
  const std::string name = TRY(fields.String("behavior"));
  static constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  for (const auto& [known, behavior] : kBehaviors) {
    if (known == name) return behavior;
  }
  return Unsupported(fields.where() + ".behavior", name,
                     "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

Result<std::unique_ptr<const Splitter>> ReadSplit(const Fields& fields) {
  const SplitBehavior behavior = TRY(ReadBehavior(fields));
  const bool invert = TRY(fields.BoolOr("invert", false));
  const json* pattern = fields.Find("pattern");
  if (pattern == nullptr || !pattern->is_object()) {
    return Error(Code::kInvalidArgument, "{}.pattern must be an object", fields.where());
  }
  const Fields pattern_fields(*pattern, fields.where() + ".pattern");
  if (pattern_fields.Find("String")) {
    return MakeLiteralSplitter(TRY(pattern_fields.String("String")), behavior, invert);
  }
  const std::string regex = TRY(pattern_fields.String("Regex"));
  // The known patterns match everything, so that both ways of writing keep every piece.
  const bool keeps_matches =
      (behavior == SplitBehavior::kIsolated) || (behavior == SplitBehavior::kRemoved && invert);
  if (const PieceEnd known = FindPattern(regex); known != nullptr && keeps_matches) {
    return MakePatternSplitter(known);
  }
  auto splitter = MakeRegexSplitter(regex, behavior, invert);
  if (!splitter) return Error(splitter.error().Prefixed(pattern_fields.where()));
  return splitter;
}

/// The pre-tokenizer; what its steps change goes into the rewriter.
Result<> ReadPreTokenizer(const json* component, TokenizerParts& parts) {
  parts.alphabet = TokenizerParts::Alphabet::kChars;
  return ForEachStep(
      component, "pre_tokenizer", "pretokenizers",
      [&](const Fields& fields, const std::string& type) -> Result<> {
        if (type == "ByteLevel") {
          parts.alphabet = TokenizerParts::Alphabet::kBytes;
          if (TRY(fields.BoolOr("add_prefix_space", false))) {
            if (!parts.splitters.empty()) {
              return Unsupported(fields.where() + ".add_prefix_space", "true",
                                 "false behind another step");
            }
            parts.rewriter.AddPrefix(" ", /*at_start_only=*/false, /*once=*/true);
            parts.drops_leading_space = true;
          }
          if (TRY(fields.BoolOr("use_regex", true))) {
            parts.splitters.push_back(MakePatternSplitter(Gpt2PieceEnd));
          }
        } else if (type == "Split") {
          parts.splitters.push_back(TRY(ReadSplit(fields)));
        } else if (type == "Digits") {
          parts.splitters.push_back(
              MakeDigitSplitter(TRY(fields.BoolOr("individual_digits", false))));
        } else if (type == "Metaspace") {
          const std::string mark = TRY(fields.StringOr("replacement", std::string(kSpaceMark)));
          const bool add_prefix = TRY(fields.BoolOr("add_prefix_space", true));
          const std::string scheme =
              TRY(fields.StringOr("prepend_scheme", add_prefix ? "always" : "never"));
          if (!parts.splitters.empty()) {
            return Unsupported(fields.where(), "Metaspace", "Metaspace as the first step");
          }
          if (mark != kSpaceMark) {
            return Unsupported(fields.where() + ".replacement", mark, "U+2581");
          }
          parts.rewriter.AddReplacement(" ", mark);
          if (scheme != "never") {
            parts.rewriter.AddPrefix(mark, scheme == "first", /*once=*/true);
            parts.drops_leading_space = true;
          }
          if (TRY(fields.BoolOr("split", true))) {
            parts.splitters.push_back(
                MakeLiteralSplitter(mark, SplitBehavior::kMergedWithNext, false));
          }
        } else {
          return Unsupported(fields.where() + ".type", type,
                             "ByteLevel, Split, Digits, Metaspace, Sequence");
        }
        return {};
      });
}

/// Whether the decoder drops the space in front of a text.
Result<bool> DecoderDropsSpace(const json* component) {
  bool drops = false;
  TRY(ForEachStep(component, "decoder", "decoders",
                  [&](const Fields& fields, const std::string& type) -> Result<> {
                    if (type == "Strip") {
                      const json* start = fields.Find("start");
                      drops = start && start->is_number_integer() && start->get<int64_t>() > 0;
                    }
                    return {};
                  }));
  return drops;
}

struct AddedEntry {
  AddedToken token;
  bool normalized;
};

Result<std::vector<AddedEntry>> ReadAddedTokens(const json& root) {
  std::vector<AddedEntry> entries;
  const Fields root_fields(root, "tokenizer");
  if (root_fields.Find("added_tokens") == nullptr) return entries;
  const json& list = *TRY(root_fields.Array("added_tokens"));
  for (size_t i = 0; i < list.size(); ++i) {
    const Fields fields(list[i], fmt::format("added_tokens[{}]", i));
    const json* id = fields.Find("id");
    if (id == nullptr || !id->is_number_unsigned() || id->get<uint64_t>() >= kMaxTokens) {
      return Error(Code::kInvalidArgument, "{}.id must be a number below {}", fields.where(),
                   kMaxTokens);
    }
    AddedEntry entry;
    entry.token.id = static_cast<TokenId>(id->get<uint64_t>());
    entry.token.text = TRY(fields.String("content"));
    entry.token.special = TRY(fields.BoolOr("special", false));
    entry.token.single_word = TRY(fields.BoolOr("single_word", false));
    entry.token.lstrip = TRY(fields.BoolOr("lstrip", false));
    entry.token.rstrip = TRY(fields.BoolOr("rstrip", false));
    entry.normalized = TRY(fields.BoolOr("normalized", !entry.token.special));
    entries.push_back(std::move(entry));
  }
  return entries;
}

struct NamedTokens {
  std::vector<std::string> text;  ///< By id, as the file writes it.
  std::vector<TokenType> type;    ///< kUnused where no token has the id.
  std::vector<bool> taken;
};

Result<NamedTokens> CollectTokens(const TokenizerJson& lists,
                                  const std::vector<AddedEntry>& added) {
  uint64_t n_tokens = 0;
  for (const auto& [text, id] : lists.vocab) n_tokens = std::max(n_tokens, id + 1);
  for (const AddedEntry& entry : added) {
    n_tokens = std::max<uint64_t>(n_tokens, static_cast<uint64_t>(entry.token.id) + 1);
  }
  // A hole costs memory, so there are no more of them than tokens, but for a few.
  const uint64_t limit =
      std::min<uint64_t>(kMaxTokens, 2 * (lists.vocab.size() + added.size()) + 4096);
  if (n_tokens == 0 || n_tokens > limit) {
    return Error(Code::kInvalidArgument,
                 "model.vocab has {} tokens and ids up to {}; ids must be below {}",
                 lists.vocab.size(), n_tokens == 0 ? 0 : n_tokens - 1, limit);
  }
  NamedTokens tokens;
  tokens.text.resize(n_tokens);
  tokens.type.assign(n_tokens, TokenType::kUnused);
  tokens.taken.assign(n_tokens, false);
  for (const auto& [text, id] : lists.vocab) {
    if (tokens.taken[id]) {
      return Error(Code::kInvalidArgument, "model.vocab[{}] has the id {} of another token",
                   Quote(text), id);
    }
    tokens.taken[id] = true;
    tokens.text[id] = text;
    tokens.type[id] = TokenType::kNormal;
  }
  return tokens;
}

void AddTokens(const NamedTokens& tokens, const std::vector<AddedEntry>& added, bool byte_fallback,
               TokenizerParts& parts) {
  std::map<TokenId, const AddedEntry*> added_by_id;
  for (const AddedEntry& entry : added) {
    added_by_id.emplace(entry.token.id, &entry);
    (entry.normalized && !entry.token.special ? parts.added_normalized : parts.added)
        .push_back(entry.token);
  }
  const bool over_bytes = parts.alphabet == TokenizerParts::Alphabet::kBytes;
  for (TokenId id = 0; id < static_cast<TokenId>(tokens.text.size()); ++id) {
    const std::string& text = tokens.text[id];
    if (const auto it = added_by_id.find(id); it != added_by_id.end()) {
      const AddedToken& token = it->second->token;
      parts.vocabulary->Add(token.text,
                            token.special ? TokenType::kControl : TokenType::kUserDefined);
    } else if (const int byte = byte_fallback ? ByteOfName(text) : -1; byte >= 0) {
      parts.vocabulary->Add(std::string(1, static_cast<char>(byte)), TokenType::kByte);
      parts.byte_tokens.id[byte] = id;
    } else {
      std::optional<std::string> bytes;
      if (over_bytes) bytes = BytesOfVisible(text);
      if (over_bytes && bytes && bytes->size() == 1) {
        parts.byte_tokens.id[static_cast<uint8_t>((*bytes)[0])] = id;
      }
      const bool is_reachable = !over_bytes || bytes.has_value();
      parts.vocabulary->Add(bytes ? *bytes : text,
                            is_reachable ? tokens.type[id] : TokenType::kUnused);
    }
  }
  parts.vocabulary->BuildIndex();
}

/// Whether the template puts a special token first; then that token.
Result<TokenId> FirstOfTemplate(const json* component, const Vocabulary& vocabulary) {
  TokenId first = -1;
  TRY(ForEachStep(component, "post_processor", "processors",
                  [&](const Fields& fields, const std::string& type) -> Result<> {
                    if (type != "TemplateProcessing") return {};
                    const json& single = *TRY(fields.Array("single"));
                    if (single.empty() || !single[0].contains("SpecialToken")) return {};
                    const Fields special(single[0]["SpecialToken"],
                                         fields.where() + ".single[0].SpecialToken");
                    first = vocabulary.FindAny(TRY(special.String("id")));
                    return {};
                  }));
  return first;
}

Result<> CheckModel(const Fields& model) {
  const std::string type = TRY(model.StringOr("type", "BPE"));
  if (type != "BPE") return Unsupported("model.type", type, "BPE");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string value = TRY(model.StringOr(key, ""));
    if (!value.empty()) return Unsupported(std::string("model.") + key, value, "null");
  }
  if (model.Find("vocab")) {
    return Error(Code::kInvalidArgument, "model.vocab must be an object of tokens and ids");
  }
  return {};
}

}  // namespace

Result<TokenizerParts> PartsFromTokenizerJson(std::string_view content) {
  json root;
  const TokenizerJson lists = TRY(ReadTokenizerJson(content, root));
  const Fields root_fields(root, "tokenizer");
  const json* model_json = root_fields.Find("model");
  if (model_json == nullptr || !model_json->is_object()) {
    return Error(Code::kInvalidArgument, "model must be an object");
  }
  const Fields model(*model_json, "model");
  TRY(CheckModel(model));

  TokenizerParts parts;
  TRY(ForEachStep(root_fields.Find("normalizer"), "normalizer", "normalizers",
                  [&](const Fields& fields, const std::string& type) {
                    return AddNormalizer(fields, type, parts.normalizer);
                  }));
  TRY(ReadPreTokenizer(root_fields.Find("pre_tokenizer"), parts));
  parts.ignore_merges = TRY(model.BoolOr("ignore_merges", false));
  parts.fuse_unknown = TRY(model.BoolOr("fuse_unk", false));
  if (TRY(DecoderDropsSpace(root_fields.Find("decoder")))) parts.drops_leading_space = true;

  const std::vector<AddedEntry> added = TRY(ReadAddedTokens(root));
  const NamedTokens tokens = TRY(CollectTokens(lists, added));
  const bool byte_fallback = TRY(model.BoolOr("byte_fallback", false));
  AddTokens(tokens, added, byte_fallback, parts);
  if (model.Find("unk_token")) {
    const std::string unknown = TRY(model.String("unk_token"));
    parts.unknown = parts.vocabulary->FindAny(unknown);
    if (parts.unknown < 0) {
      return Error(Code::kInvalidArgument, "model.unk_token {} is not a token", Quote(unknown));
    }
  }
  MergeListBuilder builder(parts, lists.merges.size(), /*strict=*/true, "model.merges");
  for (const auto& [left, right] : lists.merges) TRY(builder.Add(left, right));
  builder.Finish();

  const TokenId first = TRY(FirstOfTemplate(root_fields.Find("post_processor"), *parts.vocabulary));
  parts.adds_bos = first >= 0;
  parts.bos = first;
  return parts;
}

}  // namespace lamina::text
