// Q6_K: 256 weights of 6 bits; per 16 a scale of 8 bits: w = d * s * (q - 32).
#pragma once

#include "quant/k_type.h"

namespace lamina::quant {

// A panel holds per 256 columns 16 x 16 int8 scales; the f16 d are at its end.
struct Q6_K : KType<Bits6, /*kMinimum=*/false, /*kScalesPer32=*/2, 256, /*kTailBytes=*/32> {
  static constexpr const char* kName = "Q6_K";
  static constexpr uint32_t kGgmlId = 14;
  static constexpr int kBlockBytes = 210;  // 128 bytes of nibbles, 64 of upper bits, 16 int8, f16 d
  static constexpr int kMax = 63;
  static constexpr int kBiasShift = 5;

  static LAMINA_INLINE void Split(const uint8_t* block, int sub, Weights32* out) {
    // Each half of 128 weights has 64 bytes of nibbles and 32 of upper bits.
    const int half = sub / 4, quarter = sub % 4;
    const uint8_t* nibbles = block + 64 * half + 32 * (quarter & 1);
    const uint8_t* upper = block + 128 + 32 * half;
    for (int k = 0; k < 32; ++k) {
      out->u[k] =
          uint8_t((nibbles[k] >> (4 * (quarter / 2)) & 15) | (upper[k] >> (2 * quarter) & 3) << 4);
    }
    const float d = F16ToF32(ReadAs<uint16_t>(block + 208));
    for (int i = 0; i < 2; ++i) out->scale[i] = d * float(int8_t(block[192 + 2 * sub + i]));
  }
  static LAMINA_INLINE void PutScales(const uint8_t* block, int64_t b, int64_t n_blocks, int row,
                                      uint8_t* panel) {
    uint8_t* out = panel + ScaleOffset(b);
    for (int j = 0; j < 16; ++j) out[16 * j + row] = block[192 + j];
    PutU16(ReadAs<uint16_t>(block + 208), row, panel + TailOffset(b, n_blocks));
  }
  template <class S>
  static LAMINA_INLINE void LoadScales(const uint8_t* panel, int64_t b, int64_t n_blocks,
                                       float* scale, float*) {
    const uint8_t* in = panel + ScaleOffset(b);
    const auto d = S::LoadF16(panel + TailOffset(b, n_blocks));
    for (int j = 0; j < 16; ++j) {
      S::StoreF32(scale + kRows * j, S::Mul(d, S::ToF32(S::LoadI8(in + 16 * j))));
    }
  }
};

}  // namespace lamina::quant
