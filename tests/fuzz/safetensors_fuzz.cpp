// Any bytes as a safetensors file and, if they begin with a brace, as the index of a sharded model.
#include <cstdlib>

#include "format/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  if (n_bytes > 0 && data[0] == '{') {
    const auto index =
        lamina::format::ParseShardIndex({reinterpret_cast<const char*>(data), n_bytes});
    if (!index) return 0;
    for (const auto& entry : index->entries) {
      if (entry.file >= index->files.size()) std::abort();
    }
    return 0;
  }
  const auto tensors = lamina::format::ParseSafetensors({data, n_bytes});
  if (!tensors) return 0;
  for (const auto& tensor : *tensors) {
    if (tensor.data.data() != data + tensor.offset) std::abort();
    if (tensor.offset + tensor.data.size() > n_bytes) std::abort();
  }
  return 0;
}
