// Q4_0: 32 weights of 4 bits and a scale: w = d * (q - 8).
#pragma once

#include "quant/legacy.h"

namespace lamina::quant {

struct Q4_0 : LegacyType<Bits4, /*kMinimum=*/false> {
  static constexpr const char* kName = "Q4_0";
  static constexpr uint32_t kGgmlId = 2;
  static constexpr int kBlockBytes = 18;  // f16 d, 16 bytes of nibbles
  static constexpr int kMax = 15;
  static constexpr int kBiasShift = 3;

  static LAMINA_INLINE void Split(const uint8_t* block, int, Weights32* out) {
    SplitNibbles(block + 2, out->u);
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block));
  }
};

}  // namespace lamina::quant
