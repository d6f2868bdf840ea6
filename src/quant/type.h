// The registry of weight types: what a block is, how it is read, how it is packed for the kernels.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lamina::quant {

/// Rows per panel: the kernels compute this many outputs side by side, on every CPU.
inline constexpr int kPanelRows = 16;

/// One weight type. A row of n_cols weights is n_cols / block_values blocks of block_bytes bytes,
/// as in GGUF. Functions are noexcept and unchecked: callers validate shapes.
struct TypeInfo {
  std::string_view name;  ///< As GGUF spells it, e.g. "Q4_K".
  uint32_t ggml_id;       ///< The number in GGUF's tensor table.
  uint32_t block_values;  ///< Weights per block: 1, 32 or 256.
  uint32_t block_bytes;   ///< Bytes per block.
  /// True where the kernels take f32 inputs (F32, F16, BF16); false where they take int8 blocks.
  bool is_float;
  /// blocks [n_blocks] -> out [n_blocks * block_values] f32, bit-equal with the format's reference.
  void (*dequantize)(const uint8_t* blocks, int64_t n_blocks, float* out) noexcept;
  /// Bytes of one panel (16 rows of n_cols weights), a multiple of 64.
  int64_t (*panel_bytes)(int64_t n_cols) noexcept;
  /// 16 rows of blocks -> one panel, lossless. A null row packs as zeros. panel is 64-byte aligned.
  void (*pack_panel)(const uint8_t* const* rows, int64_t n_cols, uint8_t* panel) noexcept;
  /// Row `row` (0..15) of a panel -> out [n_cols] f32, bit-equal with dequantize of the row packed.
  void (*unpack_row)(const uint8_t* panel, int row, int64_t n_cols, float* out) noexcept;
};

/// Index of a type in Types(); the order is all_types.h's.
using TypeIndex = int;

/// Every supported type, in the order of all_types.h.
std::span<const TypeInfo> Types();

/// The type with this GGUF number or name, or null.
const TypeInfo* FindType(uint32_t ggml_id);
const TypeInfo* FindType(std::string_view name);

/// Position of `type` in Types(): the row of the kernels' tables.
TypeIndex IndexOf(const TypeInfo& type);

}  // namespace lamina::quant
