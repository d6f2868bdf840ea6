// What the CPUs with 128-bit vectors and dot products share: 16 rows are four registers. sdot takes
// two signed operands: weights up to 7 bits are signed as they are, wider ones lose their bias.
#pragma once

#include <arm_neon.h>
#include <stdint.h>

#include "quant/unroll.h"

namespace lamina::kernels {
namespace {

struct SimdNeon {
  struct U8 {
    uint8x16_t quad[4];
  };
  struct I32 {
    int32x4_t quad[4];
  };
  struct F32 {
    float32x4_t quad[4];
  };
  template <class Out, class F>
  static LAMINA_INLINE Out Each(F f) {
    return {{f(0), f(1), f(2), f(3)}};
  }

  static LAMINA_INLINE U8 LoadBytes(const uint8_t* p) {
    return Each<U8>([&](int i) LAMINA_INLINE_LAMBDA { return vld1q_u8(p + 16 * i); });
  }
  static LAMINA_INLINE void StoreBytes(uint8_t* p, U8 a) {
    for (int i = 0; i < 4; ++i) vst1q_u8(p + 16 * i, a.quad[i]);
  }
  template <int kShift, int kMask>
  static LAMINA_INLINE U8 Field(U8 a) {
    return Each<U8>([&](int i) LAMINA_INLINE_LAMBDA {
      uint8x16_t v = a.quad[i];
      if constexpr (kShift > 0) v = vshrq_n_u8(v, kShift > 0 ? kShift : 1);
      if constexpr (kShift < 0) v = vshlq_n_u8(v, kShift < 0 ? -kShift : 0);
      return vandq_u8(v, vdupq_n_u8(kMask));
    });
  }
  static LAMINA_INLINE U8 Or(U8 a, U8 b) {
    return Each<U8>([&](int i) LAMINA_INLINE_LAMBDA { return vorrq_u8(a.quad[i], b.quad[i]); });
  }
  static LAMINA_INLINE U8 Lookup(U8 a, const uint8_t* table) {
    const uint8x16_t t = vld1q_u8(table);
    return Each<U8>([&](int i) LAMINA_INLINE_LAMBDA { return vqtbl1q_u8(t, a.quad[i]); });
  }
  static LAMINA_INLINE U8 LoadU16(const uint8_t* p) {
    return Each<U8>([&](int i) LAMINA_INLINE_LAMBDA {
      return vreinterpretq_u8_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(p + 8 * i))));
    });
  }

  template <int kByte>
  static LAMINA_INLINE I32 Byte(U8 a) {
    return Each<I32>([&](int i) LAMINA_INLINE_LAMBDA {
      uint32x4_t v = vreinterpretq_u32_u8(a.quad[i]);
      if constexpr (kByte > 0) v = vshrq_n_u32(v, kByte > 0 ? 8 * kByte : 1);
      return vreinterpretq_s32_u32(vandq_u32(v, vdupq_n_u32(255)));
    });
  }
  static LAMINA_INLINE I32 LoadI8(const uint8_t* p) {
    const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(p));
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return {{vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
             vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))}};
  }
  static LAMINA_INLINE I32 Add(I32 a, I32 b) {
    return Each<I32>([&](int i) LAMINA_INLINE_LAMBDA { return vaddq_s32(a.quad[i], b.quad[i]); });
  }
  static LAMINA_INLINE I32 SetI32(int32_t x) {
    return Each<I32>([&](int) LAMINA_INLINE_LAMBDA { return vdupq_n_s32(x); });
  }

  static LAMINA_INLINE F32 ToF32(I32 a) {
    return Each<F32>([&](int i) LAMINA_INLINE_LAMBDA { return vcvtq_f32_s32(a.quad[i]); });
  }
  static LAMINA_INLINE F32 SetF32(float x) {
    return Each<F32>([&](int) LAMINA_INLINE_LAMBDA { return vdupq_n_f32(x); });
  }
  static LAMINA_INLINE F32 LoadF32(const float* p) {
    return Each<F32>([&](int i) LAMINA_INLINE_LAMBDA { return vld1q_f32(p + 4 * i); });
  }
  static LAMINA_INLINE void StoreF32(float* p, F32 a) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.quad[i]);
  }
  static LAMINA_INLINE F32 LoadF16(const uint8_t* p) {
    return Each<F32>([&](int i) LAMINA_INLINE_LAMBDA {
      return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)));
    });
  }
  static LAMINA_INLINE F32 LoadBf16(const uint8_t* p) {
    return Each<F32>([&](int i) LAMINA_INLINE_LAMBDA {
      return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p + 8 * i)), 16));
    });
  }
  static LAMINA_INLINE F32 Negate(F32 a) {
    return Each<F32>([&](int i) LAMINA_INLINE_LAMBDA { return vnegq_f32(a.quad[i]); });
  }
  static LAMINA_INLINE F32 AddF32(F32 a, F32 b) {
    return Each<F32>([&](int i) LAMINA_INLINE_LAMBDA { return vaddq_f32(a.quad[i], b.quad[i]); });
  }
  static LAMINA_INLINE F32 Mul(F32 a, F32 b) {
    return Each<F32>([&](int i) LAMINA_INLINE_LAMBDA { return vmulq_f32(a.quad[i], b.quad[i]); });
  }
  static LAMINA_INLINE F32 Fma(F32 a, F32 b, F32 c) {
    return Each<F32>(
        [&](int i) LAMINA_INLINE_LAMBDA { return vfmaq_f32(c.quad[i], a.quad[i], b.quad[i]); });
  }

  template <int kMax>
  static constexpr bool kBiased = kMax <= 127;
  using Inputs = int8x16_t;
  template <int kUses>
  static LAMINA_INLINE Inputs Broadcast(const int8_t* four) {
    int32_t dword;
    __builtin_memcpy(&dword, four, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(dword));
  }
  template <int kMax>
  static LAMINA_INLINE U8 Prepare(U8 a) {
    if constexpr (kMax > 127) {
      for (uint8x16_t& quad : a.quad) quad = veorq_u8(quad, vdupq_n_u8(0x80));
    }
    return a;
  }
  template <int kMax, int kSteps>
  struct Sum {
    I32 total;
    template <int kShift>
    LAMINA_INLINE void Start(const int32_t* neg_sum) {
      total = SetI32(kShift < 0 ? 0 : *neg_sum * (1 << (kShift < 0 ? 0 : kShift)));
    }
    template <int kStep>
    LAMINA_INLINE void Add(U8 w, Inputs x) {
      for (int i = 0; i < 4; ++i)
        total.quad[i] = vdotq_s32(total.quad[i], vreinterpretq_s8_u8(w.quad[i]), x);
    }
    template <int kShift>
    LAMINA_INLINE I32 Total(const int32_t*) const {
      return total;
    }
  };
  static LAMINA_INLINE void Prefetch(const uint8_t* p) { __builtin_prefetch(p); }

  static constexpr int kSumRows = 1;
  static constexpr int kSumsInRegisters = 2;
  static constexpr int kTileOfFewPointers = 99;
  static constexpr int kPackedTileRows = 4;
  static constexpr int kTileRows = 4;
  static constexpr int kTilePanels = 1;
  static constexpr int kFloatTileRows = 4;
  static constexpr int kMinRowsToExpand = 5;
  static constexpr int kMinRowsToExpandCheap = 5;
};

}  // namespace
}  // namespace lamina::kernels
