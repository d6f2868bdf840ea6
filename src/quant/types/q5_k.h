// Q5_K: 256 weights of 5 bits; per 32 a scale and a minimum of 6 bits: w = d * s * q - dmin * m.
#pragma once

#include "quant/k_type.h"

namespace lamina::quant {

struct Q5_K : SixBitScales<Bits5> {
  static constexpr const char* kName = "Q5_K";
  static constexpr uint32_t kGgmlId = 13;
  // f16 d, f16 dmin, 12 bytes of scales, 32 of fifth bits (bit `sub`), 128 of nibbles.
  static constexpr int kBlockBytes = 176;
  static constexpr int kMax = 31;
  static constexpr int kBiasShift = kNoBias;

  static LAMINA_INLINE void Split(const uint8_t* block, int sub, Weights32* out) {
    const uint8_t* fifth = block + 16;
    const uint8_t* nibbles = block + 48 + 32 * (sub / 2);
    for (int k = 0; k < 32; ++k) {
      out->u[k] = uint8_t((nibbles[k] >> (4 * (sub % 2)) & 15) | (fifth[k] >> sub & 1) << 4);
    }
    SplitScales(block, sub, out);
  }
};

}  // namespace lamina::quant
