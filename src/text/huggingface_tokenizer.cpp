// Tokenizers from the files in a Hugging Face model's folder.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "format/json.h"
#include "format/quote.h"
#include "text/loaders.h"

namespace lamina::text {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxTokenizerBytes = uint64_t{256} << 20;
constexpr uint64_t kMaxSmallFileBytes = 8 << 20;  // Gemma 3's tokenizer_config.json is 1.2 MB

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

/// The object in a file, or an empty one where there is no file.
Result<json> ReadObject(const std::string& path) {
  if (!Exists(path)) return json::object();
  json object = TRY(format::ReadJsonFile(path, kMaxSmallFileBytes));
  if (!object.is_object()) return Error(Code::kInvalidArgument, "{} is not an object", path);
  return object;
}

/// The id of a token that a config names as "text" or as {"content": "text"}; -1 for null or none.
Result<TokenId> NamedToken(const json& config, const char* key, const Vocabulary& vocabulary) {
  const auto it = config.find(key);
  if (it == config.end() || it->is_null()) return -1;
  const json* name = &*it;
  if (name->is_object() && name->contains("content")) name = &name->at("content");
  if (!name->is_string()) {
    return Error(Code::kInvalidArgument, "tokenizer_config.json: {} is not a token", key);
  }
  return vocabulary.FindAny(name->get_ref<const std::string&>());
}

/// The ids under eos_token_id, a number or a list of them.
Result<std::vector<TokenId>> EosIds(const json& config, const char* file) {
  std::vector<TokenId> ids;
  const auto it = config.find("eos_token_id");
  if (it == config.end() || it->is_null()) return ids;
  const json list = it->is_array() ? *it : json::array({*it});
  for (const json& id : list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) {
      return Error(Code::kInvalidArgument, "{}: eos_token_id must be ids of tokens", file);
    }
    ids.push_back(static_cast<TokenId>(id.get<uint64_t>()));
  }
  return ids;
}

/// What the files beside the tokenizer say about its special tokens.
Result<> ApplyConfigs(const std::string& folder, TokenizerParts& parts) {
  const json tokenizer_config = TRY(ReadObject(folder + "/tokenizer_config.json"));
  const json generation_config = TRY(ReadObject(folder + "/generation_config.json"));
  const json config = TRY(ReadObject(folder + "/config.json"));
  const Vocabulary& vocabulary = *parts.vocabulary;

  const auto in_vocabulary = [&](TokenId id) { return id >= 0 && id < vocabulary.n_tokens(); };
  const auto id_in = [&](const json& object, const char* key) -> TokenId {
    const auto it = object.find(key);
    if (it == object.end() || !it->is_number_unsigned()) return -1;
    const uint64_t id = it->get<uint64_t>();
    return id < static_cast<uint64_t>(vocabulary.n_tokens()) ? static_cast<TokenId>(id) : -1;
  };
  TokenId bos = TRY(NamedToken(tokenizer_config, "bos_token", vocabulary));
  if (bos < 0 && !tokenizer_config.contains("bos_token")) bos = id_in(config, "bos_token_id");
  if (bos >= 0) parts.bos = bos;
  TokenId eos = TRY(NamedToken(tokenizer_config, "eos_token", vocabulary));
  for (const auto& [object, file] : {std::pair{&generation_config, "generation_config.json"},
                                     std::pair{&config, "config.json"}}) {
    for (const TokenId id : TRY(EosIds(*object, file))) {
      if (!in_vocabulary(id)) continue;
      if (eos < 0) eos = id;
      parts.end_of_generation.push_back(id);
    }
  }
  if (eos >= 0) parts.eos = eos;
  if (const auto it = tokenizer_config.find("add_bos_token");
      it != tokenizer_config.end() && it->is_boolean()) {
    parts.adds_bos = it->get<bool>();
  }
  return {};
}

}  // namespace

Result<TokenizerParts> PartsFromFolder(const std::string& folder) {
  struct Format {
    const char* file;
    Result<TokenizerParts> (*read)(std::string_view content);
  };
  static constexpr Format kFormats[] = {{"tokenizer.json", PartsFromTokenizerJson},
                                        {"tokenizer.model", PartsFromSentencePiece},
                                        {"tekken.json", PartsFromTekken}};
  for (const Format& candidate : kFormats) {
    const std::string path = folder + "/" + candidate.file;
    if (!Exists(path)) continue;
    const MappedFile file = TRY(MappedFile::Open(path));
    const Bytes bytes = file.bytes();
    if (bytes.size() > kMaxTokenizerBytes) {
      return Error(Code::kResourceExhausted, "{} has {} bytes; up to {} are read", path,
                   bytes.size(), kMaxTokenizerBytes);
    }
    auto parts = candidate.read({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (!parts) return Error(parts.error().Prefixed(path));
    auto applied = ApplyConfigs(folder, *parts);
    if (!applied) return Error(applied.error().Prefixed(folder));
    return parts;
  }
  return Error(Code::kNotFound, "{} has none of tokenizer.json, tokenizer.model and tekken.json",
               folder);
}

}  // namespace lamina::text
