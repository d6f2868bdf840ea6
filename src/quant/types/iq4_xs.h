// IQ4_XS: 256 indices into IQ4_NL's table; per 32 a scale of 6 bits: w = d * (s - 32) * table[i].
#pragma once

#include "quant/iq4.h"
#include "quant/k_type.h"

namespace lamina::quant {

// A panel holds per 256 columns 16 d, the 16 u16 of upper scale bits, and the 4 bytes of low scale
// nibbles as a dword per row.
struct IQ4_XS : KType<Bits4, /*kMinimum=*/false, /*kScalesPer32=*/1, 128> {
  static constexpr const char* kName = "IQ4_XS";
  static constexpr uint32_t kGgmlId = 23;
  static constexpr int kBlockBytes = 136;  // f16 d, u16 upper bits, 4 bytes of nibbles, 128
  static constexpr int kMax = 255;
  static constexpr int kBiasShift = 7;

  static LAMINA_INLINE void Split(const uint8_t* block, int sub, Weights32* out) {
    SplitNibbles(block + 8 + 16 * sub, out->u);
    const int low = block[4 + sub / 2] >> (4 * (sub % 2)) & 15;
    const int scale = low | (ReadAs<uint16_t>(block + 2) >> (2 * sub) & 3) << 4;
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block)) * float(scale - 32);
  }
  static LAMINA_INLINE uint8_t Weight(uint8_t field) { return kIq4Steps[field]; }
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::Lookup(Planes::Load<S, kStep>(planes), kIq4Steps);
  }
  static LAMINA_INLINE void PutScales(const uint8_t* block, int64_t b, int64_t, int row,
                                      uint8_t* panel) {
    uint8_t* out = panel + ScaleOffset(b);
    PutU16(ReadAs<uint16_t>(block), row, out);
    PutU16(ReadAs<uint16_t>(block + 2), row, out + 32);
    PutU32(ReadAs<uint32_t>(block + 4), row, out + 64);
  }
  template <class S>
  static LAMINA_INLINE void LoadScales(const uint8_t* panel, int64_t b, int64_t, float* scale,
                                       float*) {
    const uint8_t* in = panel + ScaleOffset(b);
    const auto d = S::LoadF16(in);
    const auto upper = S::LoadU16(in + 32), low = S::LoadBytes(in + 64);
    const auto offset = S::SetI32(-32);
    Unroll<0, 8>([&](auto sub) LAMINA_INLINE_LAMBDA {
      constexpr int kSub = decltype(sub)::value;
      const auto nibble = S::template Byte<kSub / 2>(S::template Field<4 * (kSub % 2), 15>(low));
      const auto top = S::template Byte<kSub / 4>(S::template Field<2 * (kSub % 4) - 4, 48>(upper));
      const auto s = S::Add(S::Add(nibble, top), offset);
      S::StoreF32(scale + kRows * kSub, S::Mul(d, S::ToF32(s)));
    });
  }
};

}  // namespace lamina::quant
