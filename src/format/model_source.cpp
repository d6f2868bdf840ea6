#include "format/model_source.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "format/layout_checks.h"
#include "format/model_source_builder.h"
#include "format/quote.h"

namespace lamina::format {

ModelSource::ModelSource() = default;
ModelSource::~ModelSource() = default;

const Tensor* ModelSource::Find(std::string_view name) const {
  const auto it =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](uint32_t i, std::string_view n) { return tensors_[i].name < n; });
  if (it == by_name_.end() || tensors_[*it].name != name) return nullptr;
  return &tensors_[*it];
}

void ModelSourceBuilder::AddFile(MappedFile file, std::string path, std::vector<Tensor> tensors) {
  for (Tensor& tensor : tensors) tensor.file = static_cast<int>(source->files_.size());
  source->files_.push_back(std::move(file));
  source->file_paths_.push_back(std::move(path));
  if (source->tensors_.empty()) {
    source->tensors_ = std::move(tensors);
  } else {
    std::move(tensors.begin(), tensors.end(), std::back_inserter(source->tensors_));
  }
}

Result<> ModelSourceBuilder::IndexNames() {
  const std::vector<Tensor>& tensors = source->tensors_;
  std::vector<uint32_t>& by_name = source->by_name_;
  by_name.resize(tensors.size());
  for (uint32_t i = 0; i < by_name.size(); ++i) by_name[i] = i;
  std::sort(by_name.begin(), by_name.end(),
            [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
  for (size_t i = 1; i < by_name.size(); ++i) {
    const Tensor& tensor = tensors[by_name[i]];
    const Tensor& before = tensors[by_name[i - 1]];
    if (tensor.name == before.name) {
      return Error(Code::kInvalidArgument, "tensor {} lies in two files: {} and {}",
                   Quote(tensor.name), source->file_paths_[before.file],
                   source->file_paths_[tensor.file]);
    }
  }
  return {};
}

Result<std::unique_ptr<const ModelSource>> ModelSource::Open(const std::string& path) {
  return GuardMemory([&]() -> Result<std::unique_ptr<const ModelSource>> {
    auto source = std::make_unique<ModelSource>();
    ModelSourceBuilder builder{source.get()};
    source->path_ = path;
    source->config_ = std::make_unique<nlohmann::json>();
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      source->kind_ = Kind::kHuggingFace;
      TRY(OpenHuggingFace(path, builder));
    } else {
      source->kind_ = Kind::kGguf;
      TRY(OpenGguf(path, builder));
    }
    return std::unique_ptr<const ModelSource>(std::move(source));
  });
}

}  // namespace lamina::format
