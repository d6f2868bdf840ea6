// Q5_1: 32 weights of 5 bits, a scale and a minimum: w = d * q + m.
#pragma once

#include "quant/legacy.h"

namespace lamina::quant {

struct Q5_1 : LegacyType<Bits5, /*kMinimum=*/true> {
  static constexpr const char* kName = "Q5_1";
  static constexpr uint32_t kGgmlId = 7;
  static constexpr int kBlockBytes = 24;  // f16 d, f16 m, u32 of fifth bits, 16 bytes of nibbles
  static constexpr int kMax = 31;
  static constexpr int kBiasShift = kNoBias;

  static LAMINA_INLINE void Split(const uint8_t* block, int, Weights32* out) {
    SplitNibbles(block + 8, out->u);
    AddFifthBits(ReadAs<uint32_t>(block + 4), out->u);
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block));
    out->min[0] = out->min[1] = F16ToF32(ReadAs<uint16_t>(block + 2));
  }
};

}  // namespace lamina::quant
