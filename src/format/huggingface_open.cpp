#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "format/json.h"
#include "format/model_source_builder.h"
#include "format/quote.h"
#include "format/safetensors.h"

namespace lamina::format {
namespace {

Result<> AddShard(const std::string& path, ModelSourceBuilder& builder) {
  MappedFile file = TRY(MappedFile::Open(path));
  auto tensors = ParseSafetensors(file.bytes());
  if (!tensors) return Error(tensors.error().Prefixed(path));
  builder.AddFile(std::move(file), path, std::move(*tensors));
  return {};
}

// Every tensor of the index lies in the file that the index names.
Result<> CheckIndex(const ShardIndex& index, const ModelSource& source) {
  for (const ShardEntry& entry : index.entries) {
    const Tensor* tensor = source.Find(entry.tensor);
    if (!tensor || static_cast<uint32_t>(tensor->file) != entry.file) {
      return Error(Code::kInvalidArgument, "weight_map says that tensor {} is in {}; it is not",
                   Quote(entry.tensor), Quote(index.files[entry.file]));
    }
  }
  return {};
}

Result<> OpenSharded(const std::string& folder, const std::string& index_path,
                     ModelSourceBuilder& builder) {
  const std::string text = TRY(ReadFile(index_path, kSafetensorsMaxIndexBytes));
  auto index = ParseShardIndex(text);
  if (!index) return Error(index.error().Prefixed(index_path));
  for (const std::string& file : index->files) TRY(AddShard(folder + "/" + file, builder));
  TRY(builder.IndexNames());
  auto checked = CheckIndex(*index, *builder.source);
  if (!checked) return Error(checked.error().Prefixed(index_path));
  return {};
}

}  // namespace

Result<> OpenHuggingFace(const std::string& folder, ModelSourceBuilder& builder) {
  builder.config() = TRY(ReadJsonFile(folder + "/config.json", kMaxConfigBytes));
  if (!builder.config().is_object()) {
    return Error(Code::kInvalidArgument, "{}/config.json is not an object", folder);
  }
  const std::string whole = folder + "/model.safetensors";
  const std::string index = whole + ".index.json";
  std::error_code error;
  if (std::filesystem::exists(whole, error)) {
    TRY(AddShard(whole, builder));
    return builder.IndexNames();
  }
  if (std::filesystem::exists(index, error)) return OpenSharded(folder, index, builder);
  return Error(Code::kNotFound, "{} has neither model.safetensors nor model.safetensors.index.json",
               folder);
}

}  // namespace lamina::format
