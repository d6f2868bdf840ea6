// Safetensors: the parser of one file and of the index of a sharded model.
// Format: github.com/huggingface/safetensors, "Format".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "format/model_source.h"

namespace lamina::format {

inline constexpr uint64_t kSafetensorsMaxHeaderBytes = 100'000'000;
inline constexpr uint64_t kSafetensorsMaxIndexBytes = 16 << 20;
inline constexpr size_t kSafetensorsMaxRank = 8;

/// Reads and validates a whole file in memory: F32, F16 and BF16 tensors that cover the data
/// without gap or overlap, names and fields that appear once. Tensors are in the header's order,
/// point into `file`, and begin at any offset: the format does not align them. Errors:
/// kInvalidArgument with the field, kUnimplemented for a dtype.
Result<std::vector<Tensor>> ParseSafetensors(Bytes file);

/// Which file holds a tensor.
struct ShardEntry {
  std::string tensor;
  uint32_t file;  ///< Index into ShardIndex::files.
};

/// model.safetensors.index.json. File names are plain names, each once.
struct ShardIndex {
  std::vector<std::string> files;
  std::vector<ShardEntry> entries;
};

/// Errors: kInvalidArgument: malformed JSON, no weight_map, a file name with a folder in it.
Result<ShardIndex> ParseShardIndex(std::string_view text);

}  // namespace lamina::format
