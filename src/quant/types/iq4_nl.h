// IQ4_NL: 32 indices into a table of 16 uneven steps, and a scale: w = d * table[i].
#pragma once

#include "quant/iq4.h"
#include "quant/legacy.h"

namespace lamina::quant {

struct IQ4_NL : LegacyType<Bits4, /*kMinimum=*/false> {
  static constexpr const char* kName = "IQ4_NL";
  static constexpr uint32_t kGgmlId = 20;
  static constexpr int kBlockBytes = 18;  // f16 d, 16 bytes of nibbles
  static constexpr int kMax = 255;
  static constexpr int kBiasShift = 7;

  static LAMINA_INLINE void Split(const uint8_t* block, int, Weights32* out) {
    SplitNibbles(block + 2, out->u);
    out->scale[0] = out->scale[1] = F16ToF32(ReadAs<uint16_t>(block));
  }
  static LAMINA_INLINE uint8_t Weight(uint8_t field) { return kIq4Steps[field]; }
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::Lookup(Planes::Load<S, kStep>(planes), kIq4Steps);
  }
};

}  // namespace lamina::quant
