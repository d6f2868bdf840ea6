#include "format/model_source_builder.h"

namespace lamina::format {

Result<> OpenHuggingFace(const std::string& folder, ModelSourceBuilder&) {
  return Error(Code::kUnimplemented, "{} is a folder; safetensors cannot be read yet", folder);
}

}  // namespace lamina::format
