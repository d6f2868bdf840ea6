// Scalar bit work of the block formats: unaligned reads, half-precision conversions.
#pragma once

#include <stdint.h>

#include "quant/unroll.h"

namespace lamina::quant {

template <class T>
LAMINA_INLINE T ReadAs(const void* bytes) {
  T value;
  __builtin_memcpy(&value, bytes, sizeof(T));
  return value;
}

LAMINA_INLINE float FloatFromBits(uint32_t bits) { return ReadAs<float>(&bits); }

/// IEEE binary16 -> f32, exact; NaNs come out quiet, as the hardware's conversion gives them.
LAMINA_INLINE float F16ToF32(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7FFF;
  if (magnitude >= 0x7C00) {
    const uint32_t quiet = magnitude > 0x7C00 ? 0x400000 : 0;
    return FloatFromBits(sign | 0x7F800000 | quiet | (magnitude & 0x3FF) << 13);
  }
  if (magnitude >= 0x0400) return FloatFromBits(sign | ((magnitude << 13) + 0x38000000));
  // A subnormal is magnitude * 2^-24; the product is exact, and normal in f32.
  const float value = float(int32_t(magnitude)) * 0x1p-24f;
  return sign ? -value : value;
}

LAMINA_INLINE float Bf16ToF32(uint16_t bits) { return FloatFromBits(uint32_t(bits) << 16); }

}  // namespace lamina::quant
