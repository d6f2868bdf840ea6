// Q3_K: 256 weights of 3 bits; per 16 a scale of 6 bits: w = d * (s - 32) * (q - 4).
#pragma once

#include "quant/k_type.h"

namespace lamina::quant {

// Scale j has its low nibble in byte j % 8 (low half for j < 8), its upper two bits in byte 8 + j %
// 4 from bit 2 * (j / 4). A panel holds per 256 columns the 12 bytes as three dwords per row; the
// f16 d are at its end.
struct Q3_K : KType<Bits3, /*kMinimum=*/false, /*kScalesPer32=*/2, 192, /*kTailBytes=*/32> {
  static constexpr const char* kName = "Q3_K";
  static constexpr uint32_t kGgmlId = 11;
  static constexpr int kBlockBytes = 110;  // 32 bytes of third bits, 64 of low bits, 12, f16 d
  static constexpr int kMax = 7;
  static constexpr int kBiasShift = 2;

  static LAMINA_INLINE void Split(const uint8_t* block, int sub, Weights32* out) {
    const uint8_t* low = block + 32 + 32 * (sub / 4);
    for (int k = 0; k < 32; ++k) {
      out->u[k] = uint8_t((low[k] >> (2 * (sub % 4)) & 3) | (block[k] >> sub & 1) << 2);
    }
    const uint8_t* s = block + 96;
    const float d = F16ToF32(ReadAs<uint16_t>(block + 108));
    for (int i = 0; i < 2; ++i) {
      const int j = 2 * sub + i;
      const int nibble = s[j % 8] >> (j < 8 ? 0 : 4) & 15;
      const int scale = nibble | (s[8 + j % 4] >> (2 * (j / 4)) & 3) << 4;
      out->scale[i] = d * float(scale - 32);
    }
  }
  static LAMINA_INLINE void PutScales(const uint8_t* block, int64_t b, int64_t n_blocks, int row,
                                      uint8_t* panel) {
    uint8_t* out = panel + ScaleOffset(b);
    for (int i = 0; i < 3; ++i) PutU32(ReadAs<uint32_t>(block + 96 + 4 * i), row, out + 64 * i);
    PutU16(ReadAs<uint16_t>(block + 108), row, panel + TailOffset(b, n_blocks));
  }
  template <class S>
  static LAMINA_INLINE void LoadScales(const uint8_t* panel, int64_t b, int64_t n_blocks,
                                       float* scale, float*) {
    const uint8_t* in = panel + ScaleOffset(b);
    const auto d = S::LoadF16(panel + TailOffset(b, n_blocks));
    const auto s0 = S::LoadBytes(in), s1 = S::LoadBytes(in + 64), s2 = S::LoadBytes(in + 128);
    const auto offset = S::SetI32(-32);
    const auto store = [&](typename S::U8 dwords, float* out) LAMINA_INLINE_LAMBDA {
      Unroll<0, 4>([&](auto j) LAMINA_INLINE_LAMBDA {
        const auto s = S::Add(S::template Byte<decltype(j)::value>(dwords), offset);
        S::StoreF32(out + kRows * j, S::Mul(d, S::ToF32(s)));
      });
    };
    store(S::Or(S::template Field<0, 15>(s0), S::template Field<-4, 48>(s2)), scale);
    store(S::Or(S::template Field<0, 15>(s1), S::template Field<-2, 48>(s2)), scale + 4 * kRows);
    store(S::Or(S::template Field<4, 15>(s0), S::template Field<0, 48>(s2)), scale + 8 * kRows);
    store(S::Or(S::template Field<4, 15>(s1), S::template Field<2, 48>(s2)), scale + 12 * kRows);
  }
};

}  // namespace lamina::quant
