// MXFP4: 32 floats of 4 bits (E2M1) and a power of two (OCP Microscaling Formats 1.0). GGUF's
// reference doubles the values to make them integers and halves the scale.
#pragma once

#include "quant/legacy.h"

namespace lamina::quant {

// Not inline: kernel units of different CPUs must not share a symbol.
/// 16 + twice the value: 0, 0.5, 1, 1.5, 2, 3, 4, 6, and the same negated.
constexpr uint8_t kMxfp4Values[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

struct MXFP4 : LegacyType<Bits4, /*kMinimum=*/false> {
  static constexpr const char* kName = "MXFP4";
  static constexpr uint32_t kGgmlId = 39;
  static constexpr int kBlockBytes = 17;  // E8M0 exponent, 16 bytes of nibbles
  static constexpr int kMax = 28;
  static constexpr int kBiasShift = 4;
  /// Half of 2^(e - 127), as the upper 16 bits of an f32: always exact, subnormals included.
  static LAMINA_INLINE uint16_t ScaleBits(uint8_t e) {
    return e < 2 ? uint16_t(0x20 << e) : uint16_t((e - 1) << 7);
  }
  static LAMINA_INLINE void Split(const uint8_t* block, int, Weights32* out) {
    SplitNibbles(block + 1, out->u);
    out->scale[0] = out->scale[1] = Bf16ToF32(ScaleBits(block[0]));
  }
  static LAMINA_INLINE uint8_t Weight(uint8_t field) { return kMxfp4Values[field]; }
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::Lookup(Planes::Load<S, kStep>(planes), kMxfp4Values);
  }
  static LAMINA_INLINE void PutScales(const uint8_t* block, int64_t b, int64_t, int row,
                                      uint8_t* panel) {
    PutU16(ScaleBits(block[0]), row, panel + ScaleOffset(b));
  }
  template <class S>
  static LAMINA_INLINE void LoadScales(const uint8_t* panel, int64_t b, int64_t, float* scale,
                                       float*) {
    S::StoreF32(scale, S::LoadBf16(panel + ScaleOffset(b)));
  }
};

}  // namespace lamina::quant
