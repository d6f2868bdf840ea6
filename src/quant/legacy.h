// What the types with blocks of 32 weights share: scales in the first two (or four) bytes of a
// block, panels of paired blocks.
#pragma once

#include "quant/panel.h"

namespace lamina::quant {

/// 16 bytes of nibbles: the low ones are weights 0..15, the high ones 16..31.
LAMINA_INLINE void SplitNibbles(const uint8_t* bytes, uint8_t* u) {
  for (int k = 0; k < 16; ++k) {
    u[k] = bytes[k] & 15;
    u[16 + k] = bytes[k] >> 4;
  }
}

/// Bit k of `bits` becomes bit 4 of weight k.
LAMINA_INLINE void AddFifthBits(uint32_t bits, uint8_t* u) {
  for (int k = 0; k < 32; ++k) u[k] |= uint8_t((bits >> k & 1) << 4);
}

/// A derived type adds kName, kGgmlId, kBlockBytes, kMax (the largest unsigned weight), kBiasShift
/// (the bias is 1 << kBiasShift, or kNoBias) and Split.
template <class P, bool kMinimum>
struct LegacyType : PairedBlocks<P, kMinimum ? 64 : 32> {
  using Planes = P;
  using Layout = PairedBlocks<P, kMinimum ? 64 : 32>;
  static constexpr bool kIsFloat = false;
  static constexpr int kBlockValues = 32;
  static constexpr bool kHasMin = kMinimum;
  static constexpr int kHalves = 1;  // scales per 32 weights

  /// The unsigned weight that a packed field stands for; types with a codebook look it up, here and
  /// in Load.
  static LAMINA_INLINE uint8_t Weight(uint8_t field) { return field; }
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return Planes::template Load<S, kStep>(planes);
  }
  /// Copies the scales of one row's block `b` into its panel.
  static LAMINA_INLINE void PutScales(const uint8_t* block, int64_t b, int64_t, int row,
                                      uint8_t* panel) {
    uint8_t* scales = panel + Layout::ScaleOffset(b);
    PutU16(ReadAs<uint16_t>(block), row, scales);
    if (kMinimum) PutU16(ReadAs<uint16_t>(block + 2), row, scales + 32);
  }
  /// Scales and minima of block `b` for 16 rows: [16] f32 each.
  template <class S>
  static LAMINA_INLINE void LoadScales(const uint8_t* panel, int64_t b, int64_t, float* scale,
                                       float* min) {
    const uint8_t* scales = panel + Layout::ScaleOffset(b);
    S::StoreF32(scale, S::LoadF16(scales));
    if constexpr (kMinimum) S::StoreF32(min, S::LoadF16(scales + 32));
  }
};

}  // namespace lamina::quant
