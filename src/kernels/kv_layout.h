// How a page of the KV cache lies in memory.
//
// Keys of one KV head: panels of 16 positions, so that one vector holds the same dimension of 16
// keys and a score needs no horizontal sum:
//     f32, f16, bf16: [page_tokens / 16][d_head][16 positions]
//     q8_0:           [page_tokens / 16][ceil(d_head / 32)] { f16 scale[16], int8 q[32][16] }
// Values of one KV head: rows, [page_tokens][d_value]; q8_0 as blocks { f16 scale, int8 q[32] }.
// A row's width is rounded up to 8: values are followed by zeros, what follows keys is never read.
// A page of n positions takes n * KvRowBytes(type, d) bytes either way.
#pragma once

#include <stdint.h>

namespace lamina::kernels {

enum class KvType : int { kF32 = 0, kF16 = 1, kBf16 = 2, kQ8_0 = 3 };

inline constexpr int kKeyPanel = 16;          ///< Positions side by side in a panel of keys.
inline constexpr int kKvBlockBytes = 2 + 32;  ///< q8_0: f16 scale, 32 int8.

/// Bytes of one position of one KV head, keys or values.
static inline constexpr int64_t KvRowBytes(KvType type, int64_t n) {
  switch (type) {
    case KvType::kF32:
      return (n + 7) / 8 * 32;
    case KvType::kF16:
    case KvType::kBf16:
      return (n + 7) / 8 * 16;
    case KvType::kQ8_0:
      return (n + 31) / 32 * kKvBlockBytes;
  }
  return 0;
}

}  // namespace lamina::kernels
