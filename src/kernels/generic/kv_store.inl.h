// Writing rows of keys and values into pages; the layout is drawn in kernels/kv_layout.h.
#pragma once

#include <stdint.h>

#include "kernels/kv_layout.h"

namespace lamina::kernels {
namespace {

/// 32 values as int8 with a scale that f16 holds exactly; values past n are zeros.
template <class S>
inline uint16_t QuantizeKvBlock(const float* x, int64_t n, int8_t* q) {
  float padded[32] = {};
  __builtin_memcpy(padded, x, static_cast<size_t>(n < 32 ? n : 32) * sizeof(float));
  const auto a = S::Load(padded), b = S::Load(padded + 16);
  const float max = S::ReduceMax(S::Max(S::Abs(a), S::Abs(b)));
  uint16_t half[16];
  S::StoreF16(half, S::Set(max * (1.0f / 127.0f)));
  float scale[16];
  S::Store(scale, S::LoadF16(half));
  // The rounded scale may be a little small: the largest values are clamped.
  const auto inverse = S::Set(scale[0] > 0 ? 1.0f / scale[0] : 0.0f);
  const auto limit = S::Set(127.0f), low = S::Set(-127.0f);
  const auto qa = S::ToInt(S::Max(low, S::Min(limit, S::Mul(a, inverse))));
  const auto qb = S::ToInt(S::Max(low, S::Min(limit, S::Mul(b, inverse))));
  int32_t sum_a, sum_b;
  S::StoreInt8x32(q, qa, qb, &sum_a, &sum_b);
  return half[0];
}

/// 16 values in the cache's 16-bit type.
template <class S>
inline void NarrowPart(const float* x, KvType type, int64_t n, uint16_t* out) {
  float padded[16] = {};
  __builtin_memcpy(padded, x, static_cast<size_t>(n < 16 ? n : 16) * sizeof(float));
  if (type == KvType::kF16) {
    S::StoreF16(out, S::Load(padded));
  } else {
    S::StoreBf16(out, S::Load(padded));
  }
}

template <class S>
void StoreKey(const float* x, KvType type, int64_t n, void* page, int64_t slot) noexcept {
  const int64_t panel = slot / kKeyPanel, lane = slot % kKeyPanel;
  auto* bytes = static_cast<uint8_t*>(page) + panel * kKeyPanel * KvRowBytes(type, n);
  switch (type) {
    case KvType::kF32: {
      auto* out = reinterpret_cast<float*>(bytes) + lane;
      for (int64_t i = 0; i < n; ++i) out[kKeyPanel * i] = x[i];
      return;
    }
    case KvType::kF16:
    case KvType::kBf16: {
      auto* out = reinterpret_cast<uint16_t*>(bytes) + lane;
      for (int64_t i = 0; i < n; i += 16) {
        uint16_t narrow[16];
        NarrowPart<S>(x + i, type, n - i, narrow);
        for (int64_t j = 0; j < 16 && i + j < n; ++j) out[kKeyPanel * (i + j)] = narrow[j];
      }
      return;
    }
    case KvType::kQ8_0:
      for (int64_t i = 0; i < n; i += 32, bytes += kKeyPanel * kKvBlockBytes) {
        int8_t q[32];
        reinterpret_cast<uint16_t*>(bytes)[lane] = QuantizeKvBlock<S>(x + i, n - i, q);
        for (int64_t j = 0; j < 32; ++j) {
          bytes[2 * kKeyPanel + kKeyPanel * j + lane] = static_cast<uint8_t>(q[j]);
        }
      }
      return;
  }
}

template <class S>
void StoreValue(const float* x, KvType type, int64_t n, void* page, int64_t slot) noexcept {
  auto* bytes = static_cast<uint8_t*>(page) + slot * KvRowBytes(type, n);
  switch (type) {
    case KvType::kF32:
      __builtin_memset(bytes, 0, static_cast<size_t>(KvRowBytes(type, n)));
      __builtin_memcpy(bytes, x, static_cast<size_t>(n) * sizeof(float));
      return;
    case KvType::kF16:
    case KvType::kBf16:
      for (int64_t i = 0; i < n; i += 16) {
        uint16_t narrow[16];
        NarrowPart<S>(x + i, type, n - i, narrow);
        __builtin_memcpy(bytes + 2 * i, narrow, n - i <= 8 ? 16 : 32);
      }
      return;
    case KvType::kQ8_0:
      for (int64_t i = 0; i < n; i += 32, bytes += kKvBlockBytes) {
        int8_t q[32];
        const uint16_t scale = QuantizeKvBlock<S>(x + i, n - i, q);
        __builtin_memcpy(bytes, &scale, 2);
        __builtin_memcpy(bytes + 2, q, 32);
      }
      return;
  }
}

}  // namespace
}  // namespace lamina::kernels
