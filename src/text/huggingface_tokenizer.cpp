#include "text/loaders.h"

namespace lamina::text {

Result<TokenizerParts> PartsFromFolder(const std::string& folder) {
  return Error(Code::kUnimplemented, "{}: tokenizers of folders are not read yet", folder);
}

}  // namespace lamina::text
