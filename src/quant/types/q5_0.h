// Q5_0: 32 weights of 5 bits and a scale: w = d * (q - 16).
#pragma once

#include "quant/legacy.h"

namespace lamina::quant {

struct Q5_0 : LegacyType<Bits5, /*kMinimum=*/false> {
  static constexpr const char* kName = "Q5_0";
  static constexpr uint32_t kGgmlId = 6;
  static constexpr int kBlockBytes = 22;  // f16 d, u32 of fifth bits, 16 bytes of nibbles
  static constexpr int kMax = 31;
  static constexpr int kBiasShift = 4;

  static LAMINA_INLINE void Split(const uint8_t* block, int, Weights32* out) {
    SplitNibbles(block + 6, out->u);
    AddFifthBits(ReadAs<uint32_t>(block + 2), out->u);
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block));
  }
};

}  // namespace lamina::quant
