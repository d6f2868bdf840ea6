// GGUF: the layout's constants and the parser of one file.
// Format: github.com/ggml-org/ggml, docs/gguf.md, versions 2 and 3, little-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "format/metadata.h"
#include "format/model_source.h"

namespace lamina::format {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr uint64_t kGgufDefaultAlignment = 32;
inline constexpr uint64_t kGgufMaxAlignment = 65536;
inline constexpr uint64_t kGgufMaxKeyBytes = 65535;
inline constexpr uint64_t kGgufMaxTensorNameBytes = 256;
inline constexpr uint32_t kGgufMaxDimensions = 4;

/// A power of two from 8 to kGgufMaxAlignment.
inline bool IsGgufAlignment(uint64_t alignment) {
  return alignment >= 8 && alignment <= kGgufMaxAlignment && (alignment & (alignment - 1)) == 0;
}

/// Types of metadata values, as numbered in the file.
enum class GgufValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

/// One parsed file. Tensors are in the file's order; `data` points into the bytes given to
/// ParseGguf, `file` is 0.
struct GgufFile {
  uint32_t version;
  uint64_t alignment;
  uint64_t data_offset;  ///< Of the first tensor's possible place.
  Metadata metadata;
  std::vector<Tensor> tensors;
};

/// Reads and validates a whole file in memory: counts, types, shapes and offsets against its
/// length, before anything is allocated for them; at most 8 bytes of memory per byte of the file.
/// Errors: kInvalidArgument with the field, kUnimplemented for a version or tensor type.
Result<GgufFile> ParseGguf(Bytes file);

}  // namespace lamina::format
