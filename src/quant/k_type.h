// What the types with blocks of 256 weights share (K-quants and IQ4_XS).
#pragma once

#include "quant/legacy.h"

namespace lamina::quant {

/// A derived type adds kName, kGgmlId, kBlockBytes, kMax, kBiasShift, Split, PutScales and
/// LoadScales. kScaleBytes, kTailBytes: of one panel and 256 columns.
template <class P, bool kMinimum, int kScalesPer32, int kScaleBytes, int kTailBytes = 0>
struct KType : SuperBlocks<P, kScaleBytes, kTailBytes> {
  using Planes = P;
  using Layout = SuperBlocks<P, kScaleBytes, kTailBytes>;
  static constexpr bool kIsFloat = false;
  static constexpr int kBlockValues = 256;
  static constexpr bool kHasMin = kMinimum;
  static constexpr int kHalves = kScalesPer32;

  /// The unsigned weight that a packed field stands for; types with a codebook look it up, here and
  /// in Load.
  static LAMINA_INLINE uint8_t Weight(uint8_t field) { return field; }
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return Planes::template Load<S, kStep>(planes);
  }
};

/// out[j] = d * byte j of each row's dword, j = 0..3; out advances by `stride` floats.
template <class S>
LAMINA_INLINE void StoreScaled(typename S::U8 dwords, typename S::F32 d, float* out, int stride) {
  Unroll<0, 4>([&](auto j) LAMINA_INLINE_LAMBDA {
    S::StoreF32(out + j * stride,
                S::Mul(d, S::ToF32(S::template Byte<decltype(j)::value>(dwords))));
  });
}

/// Q4_K and Q5_K: 8 scales and 8 minima of 6 bits in 12 bytes s: scale j < 4 is s[j] & 63, minimum
/// j < 4 is s[j + 4] & 63; for j >= 4 the low four bits are the nibbles of s[j + 4], the upper two
/// the top bits of s[j - 4] and s[j]. A panel holds the 12 bytes as three dwords per row, after the
/// 16 d and 16 dmin.
template <class P>
struct SixBitScales : KType<P, /*kMinimum=*/true, 1, /*kScaleBytes=*/256> {
  using Layout = SuperBlocks<P, 256>;

  /// `block` begins with f16 d, f16 dmin, the 12 bytes.
  static LAMINA_INLINE void SplitScales(const uint8_t* block, int sub, Weights32* out) {
    const uint8_t* s = block + 4;
    const int scale = sub < 4 ? s[sub] & 63 : (s[sub + 4] & 15) | (s[sub - 4] >> 6) << 4;
    const int min = sub < 4 ? s[sub + 4] & 63 : s[sub + 4] >> 4 | (s[sub] >> 6) << 4;
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block)) * float(scale);
    out->min[0] = out->min[1] = -(F16ToF32(ReadAs<uint16_t>(block + 2)) * float(min));
  }
  static LAMINA_INLINE void PutScales(const uint8_t* block, int64_t b, int64_t, int row,
                                      uint8_t* panel) {
    uint8_t* out = panel + Layout::ScaleOffset(b);
    PutU16(ReadAs<uint16_t>(block), row, out);
    PutU16(ReadAs<uint16_t>(block + 2), row, out + 32);
    for (int i = 0; i < 3; ++i) PutU32(ReadAs<uint32_t>(block + 4 + 4 * i), row, out + 64 + 64 * i);
  }
  template <class S>
  static LAMINA_INLINE void LoadScales(const uint8_t* panel, int64_t b, int64_t, float* scale,
                                       float* min) {
    const uint8_t* in = panel + Layout::ScaleOffset(b);
    const auto d = S::LoadF16(in), neg_dmin = S::Negate(S::LoadF16(in + 32));
    const auto s0 = S::LoadBytes(in + 64), s1 = S::LoadBytes(in + 128), s2 = S::LoadBytes(in + 192);
    StoreScaled<S>(S::template Field<0, 63>(s0), d, scale, kRows);
    StoreScaled<S>(S::template Field<0, 63>(s1), neg_dmin, min, kRows);
    StoreScaled<S>(S::Or(S::template Field<0, 15>(s2), S::template Field<2, 48>(s0)), d,
                   scale + 4 * kRows, kRows);
    StoreScaled<S>(S::Or(S::template Field<4, 15>(s2), S::template Field<2, 48>(s1)), neg_dmin,
                   min + 4 * kRows, kRows);
  }
};

}  // namespace lamina::quant
