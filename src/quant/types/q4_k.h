// Q4_K: 256 weights of 4 bits; per 32 a scale and a minimum of 6 bits: w = d * s * q - dmin * m.
#pragma once

#include "quant/k_type.h"

namespace lamina::quant {

struct Q4_K : SixBitScales<Bits4> {
  static constexpr const char* kName = "Q4_K";
  static constexpr uint32_t kGgmlId = 12;
  static constexpr int kBlockBytes = 144;  // f16 d, f16 dmin, 12 bytes of scales, 128 of nibbles
  static constexpr int kMax = 15;
  static constexpr int kBiasShift = kNoBias;

  static LAMINA_INLINE void Split(const uint8_t* block, int sub, Weights32* out) {
    // Two runs of 32 share 32 bytes: the first is in the low nibbles.
    const uint8_t* nibbles = block + 16 + 32 * (sub / 2);
    for (int k = 0; k < 32; ++k) out->u[k] = nibbles[k] >> (4 * (sub % 2)) & 15;
    SplitScales(block, sub, out);
  }
};

}  // namespace lamina::quant
