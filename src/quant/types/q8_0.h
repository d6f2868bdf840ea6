// Q8_0: 32 signed bytes and a scale: w = d * q. Packed as q ^ 0x80, which is q + 128 unsigned.
#pragma once

#include "quant/legacy.h"

namespace lamina::quant {

struct Q8_0 : LegacyType<Bits8, /*kMinimum=*/false> {
  static constexpr const char* kName = "Q8_0";
  static constexpr uint32_t kGgmlId = 8;
  static constexpr int kBlockBytes = 34;  // f16 d, 32 int8
  static constexpr int kMax = 255;
  static constexpr int kBiasShift = 7;

  static LAMINA_INLINE void Split(const uint8_t* block, int, Weights32* out) {
    for (int k = 0; k < 32; ++k) out->u[k] = block[2 + k] ^ 0x80;
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block));
  }
};

}  // namespace lamina::quant
