// Q2_K: 256 weights of 2 bits; per 16 a scale and a minimum of 4 bits: w = d * s * q - dmin * m.
#pragma once

#include "quant/k_type.h"

namespace lamina::quant {

// A panel holds per 256 columns 16 d, 16 dmin and the 16 bytes of scales as four dwords per row.
struct Q2_K : KType<Bits2, /*kMinimum=*/true, /*kScalesPer32=*/2, 320> {
  static constexpr const char* kName = "Q2_K";
  static constexpr uint32_t kGgmlId = 10;
  static constexpr int kBlockBytes = 84;  // 16 x (scale | minimum << 4), 64 bytes, f16 d, f16 dmin
  static constexpr int kMax = 3;
  static constexpr int kBiasShift = kNoBias;

  static LAMINA_INLINE void Split(const uint8_t* block, int sub, Weights32* out) {
    const uint8_t* bits = block + 16 + 32 * (sub / 4);
    for (int k = 0; k < 32; ++k) out->u[k] = bits[k] >> (2 * (sub % 4)) & 3;
    const float d = F16ToF32(ReadAs<uint16_t>(block + 80));
    const float dmin = F16ToF32(ReadAs<uint16_t>(block + 82));
    for (int i = 0; i < 2; ++i) {
      out->scale[i] = d * float(block[2 * sub + i] & 15);
      out->min[i] = -(dmin * float(block[2 * sub + i] >> 4));
    }
  }
  static LAMINA_INLINE void PutScales(const uint8_t* block, int64_t b, int64_t, int row,
                                      uint8_t* panel) {
    uint8_t* out = panel + ScaleOffset(b);
    PutU16(ReadAs<uint16_t>(block + 80), row, out);
    PutU16(ReadAs<uint16_t>(block + 82), row, out + 32);
    for (int i = 0; i < 4; ++i) PutU32(ReadAs<uint32_t>(block + 4 * i), row, out + 64 + 64 * i);
  }
  template <class S>
  static LAMINA_INLINE void LoadScales(const uint8_t* panel, int64_t b, int64_t, float* scale,
                                       float* min) {
    const uint8_t* in = panel + ScaleOffset(b);
    const auto d = S::LoadF16(in), neg_dmin = S::Negate(S::LoadF16(in + 32));
    for (int i = 0; i < 4; ++i) {
      const auto dwords = S::LoadBytes(in + 64 + 64 * i);
      StoreScaled<S>(S::template Field<0, 15>(dwords), d, scale + 4 * kRows * i, kRows);
      StoreScaled<S>(S::template Field<4, 15>(dwords), neg_dmin, min + 4 * kRows * i, kRows);
    }
  }
};

}  // namespace lamina::quant
