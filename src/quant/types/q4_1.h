// Q4_1: 32 weights of 4 bits, a scale and a minimum: w = d * q + m.
#pragma once

#include "quant/legacy.h"

namespace lamina::quant {

struct Q4_1 : LegacyType<Bits4, /*kMinimum=*/true> {
  static constexpr const char* kName = "Q4_1";
  static constexpr uint32_t kGgmlId = 3;
  static constexpr int kBlockBytes = 20;  // f16 d, f16 m, 16 bytes of nibbles
  static constexpr int kMax = 15;
  static constexpr int kBiasShift = kNoBias;

  static LAMINA_INLINE void Split(const uint8_t* block, int, Weights32* out) {
    SplitNibbles(block + 4, out->u);
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block));
    out->min[0] = out->min[1] = F16ToF32(ReadAs<uint16_t>(block + 2));
  }
};

}  // namespace lamina::quant
