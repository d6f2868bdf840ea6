// A model on disk before anything is computed: configuration and tensors, from either format.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "format/metadata.h"
#include "quant/type.h"

namespace lamina::format {

/// A tensor whose bytes lie inside a mapped file; validated: data.size() is exactly what shape and
/// type say, and no dimension is 0. GGUF aligns data to 8 bytes or more, safetensors to none.
struct Tensor {
  std::string name;
  const quant::TypeInfo* type;
  std::vector<int64_t> shape;  ///< Row-major, outermost first: [rows, cols]; cols is contiguous.
  Bytes data;
  int file;         ///< Index of the file it lies in (split and sharded models have several).
  uint64_t offset;  ///< Of its first byte in that file.
};

/// A model's files, opened and validated. Immutable; safe from any thread.
class ModelSource {
 public:
  enum class Kind { kGguf, kHuggingFace };

  /// `path`: a .gguf (the first of a split set opens all) or a folder with config.json and
  /// safetensors. Errors name the field: kInvalidArgument for a bad file, kUnimplemented for an
  /// unknown tensor type (named, with those supported), kNotFound.
  static Result<std::unique_ptr<const ModelSource>> Open(const std::string& path);

  ModelSource();
  ~ModelSource();

  Kind kind() const { return kind_; }
  const std::string& path() const { return path_; }
  /// GGUF: its metadata. Hugging Face: empty.
  const Metadata& metadata() const { return metadata_; }
  /// Hugging Face: config.json. GGUF: null.
  const nlohmann::json& config() const { return *config_; }
  std::span<const Tensor> tensors() const { return tensors_; }
  /// The tensor of this name, or null.
  const Tensor* Find(std::string_view name) const;
  /// Paths of the files, in the order of Tensor::file.
  const std::vector<std::string>& file_paths() const { return file_paths_; }
  const MappedFile& file(int index) const { return files_[index]; }

 private:
  friend struct ModelSourceBuilder;
  Kind kind_ = Kind::kGguf;
  std::string path_;
  Metadata metadata_;
  std::unique_ptr<nlohmann::json> config_;
  std::vector<Tensor> tensors_;
  std::vector<uint32_t> by_name_;  ///< Indices into tensors_, sorted by name.
  std::vector<std::string> file_paths_;
  std::vector<MappedFile> files_;
};

}  // namespace lamina::format
