// Sixteen lanes of f32 as four NEON registers (ARMv8.2 with dot products; f16 conversion is ARMv8).
#pragma once

#include <arm_neon.h>
#include <stdint.h>

namespace lamina::kernels {
namespace {

struct SimdF32 {
  struct F {
    float32x4_t quad[4];
  };
  struct I {
    int32x4_t quad[4];
  };
  /// 24 of the 32 registers hold sums.
  static constexpr int kAccumulators = 6;
  static constexpr int kTileRows = 6;

  template <class Op>
  static F Each(Op op) {
    return {{op(0), op(1), op(2), op(3)}};
  }

  static F Set(float x) {
    return Each([&](int) { return vdupq_n_f32(x); });
  }
  static F Zero() { return Set(0.0f); }
  static F Load(const float* p) {
    return Each([&](int i) { return vld1q_f32(p + 4 * i); });
  }
  static void Store(float* p, F x) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.quad[i]);
  }
  static F Add(F a, F b) {
    return Each([&](int i) { return vaddq_f32(a.quad[i], b.quad[i]); });
  }
  static F Sub(F a, F b) {
    return Each([&](int i) { return vsubq_f32(a.quad[i], b.quad[i]); });
  }
  static F Mul(F a, F b) {
    return Each([&](int i) { return vmulq_f32(a.quad[i], b.quad[i]); });
  }
  static F Div(F a, F b) {
    return Each([&](int i) { return vdivq_f32(a.quad[i], b.quad[i]); });
  }
  static F Fma(F a, F b, F c) {
    return Each([&](int i) { return vfmaq_f32(c.quad[i], a.quad[i], b.quad[i]); });
  }
  static F Fnma(F a, F b, F c) {
    return Each([&](int i) { return vfmsq_f32(c.quad[i], a.quad[i], b.quad[i]); });
  }
  /// Comparisons and selections: vminq and vmaxq treat NaN in another way than the contract.
  static F Min(F a, F b) { return SelectLess(a, b, a, b); }
  static F Max(F a, F b) { return SelectLess(b, a, a, b); }
  static F Abs(F x) {
    return Each([&](int i) { return vabsq_f32(x.quad[i]); });
  }
  static F SelectLess(F a, F b, F x, F y) {
    return Each(
        [&](int i) { return vbslq_f32(vcltq_f32(a.quad[i], b.quad[i]), x.quad[i], y.quad[i]); });
  }

  static I ToInt(F x) {
    I result;
    for (int i = 0; i < 4; ++i) result.quad[i] = vcvtnq_s32_f32(x.quad[i]);
    return result;
  }
  static F ToFloat(I x) {
    return Each([&](int i) { return vcvtq_f32_s32(x.quad[i]); });
  }
  static F Pow2(I n) {
    return Each([&](int i) {
      return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n.quad[i], vdupq_n_s32(127)), 23));
    });
  }

  static float ReduceAdd(F x) {
    const float32x4_t four = vaddq_f32(vaddq_f32(x.quad[0], x.quad[2]),  //
                                       vaddq_f32(x.quad[1], x.quad[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  static float ReduceMax(F x) {
    float lanes[16];
    Store(lanes, x);
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) {
        lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
      }
    }
    return lanes[0];
  }

  static float HalfToFloat(uint16_t half) {
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half))), 0);
  }
  static F LoadF16(const uint16_t* p) {
    return Each([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
  }
  static F LoadBf16(const uint16_t* p) {
    return Each([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
  }
  static F LoadInt8(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
             vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
             vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
  }
  static void StoreF16(uint16_t* p, F x) {
    for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.quad[i])));
  }
  /// Round to nearest even on the bits; a NaN keeps its top bits and becomes quiet.
  static void StoreBf16(uint16_t* p, F x) {
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t bits = vreinterpretq_u32_f32(x.quad[i]);
      const uint32x4_t top = vshrq_n_u32(bits, 16);
      const uint32x4_t odd = vandq_u32(top, vdupq_n_u32(1));
      const uint32x4_t rounded =
          vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd), 16);
      const uint32x4_t quiet = vorrq_u32(top, vdupq_n_u32(0x40));
      const uint32x4_t is_number = vceqq_f32(x.quad[i], x.quad[i]);
      vst1_u16(p + 4 * i, vmovn_u32(vbslq_u32(is_number, rounded, quiet)));
    }
  }
  static int8x16_t Narrow(I x) {
    const int16x8_t low = vcombine_s16(vqmovn_s32(x.quad[0]), vqmovn_s32(x.quad[1]));
    const int16x8_t high = vcombine_s16(vqmovn_s32(x.quad[2]), vqmovn_s32(x.quad[3]));
    return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
  }
  static void StoreInt8x32(int8_t* p, I a, I b, int32_t* sum_a, int32_t* sum_b) {
    const int8x16_t bytes_a = Narrow(a), bytes_b = Narrow(b);
    vst1q_s8(p, bytes_a);
    vst1q_s8(p + 16, bytes_b);
    *sum_a = vaddlvq_s8(bytes_a);
    *sum_b = vaddlvq_s8(bytes_b);
  }
};

}  // namespace
}  // namespace lamina::kernels
