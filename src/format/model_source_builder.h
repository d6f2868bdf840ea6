// How the readers of the formats fill a ModelSource; internal to this folder.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "format/model_source.h"

namespace lamina::format {

struct ModelSourceBuilder {
  ModelSource* source;

  /// Appends a file and its tensors, whose `file` it sets.
  void AddFile(MappedFile file, std::string path, std::vector<Tensor> tensors);
  /// After the last file. Errors: a tensor in two files.
  Result<> IndexNames();

  Metadata& metadata() { return source->metadata_; }
  nlohmann::json& config() { return *source->config_; }
};

/// A .gguf or the first file of a split set. Errors begin with the file's path.
Result<> OpenGguf(const std::string& path, ModelSourceBuilder& builder);

/// A folder with config.json and safetensors. Errors begin with the file's path.
Result<> OpenHuggingFace(const std::string& folder, ModelSourceBuilder& builder);

}  // namespace lamina::format
