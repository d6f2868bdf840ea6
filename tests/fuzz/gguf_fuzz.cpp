// Any bytes as a GGUF file: no crash, no leak, and what is accepted lies within them.
#include <cstdlib>

#include "format/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const auto file = lamina::format::ParseGguf({data, n_bytes});
  if (!file) return 0;
  for (const auto& tensor : file->tensors) {
    if (tensor.data.data() != data + tensor.offset) std::abort();
    if (tensor.offset + tensor.data.size() > n_bytes) std::abort();
  }
  for (const auto& [key, value] : file->metadata.entries()) {
    (void)file->metadata.GetUint(key);
    (void)file->metadata.GetInts(key);
    (void)file->metadata.GetFloats(key);
    (void)file->metadata.GetStrings(key);
  }
  return 0;
}
