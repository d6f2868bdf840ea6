// Sixteen lanes of f32 in plain C++: what every other set of primitives must equal, bit by bit.
#pragma once

#include <stdint.h>

namespace lamina::kernels {
namespace {

struct SimdF32 {
  struct F {
    float lane[16];
  };
  struct I {
    int32_t lane[16];
  };
  /// Vectors of sums that a tile may keep in registers, and the most rows of a tile.
  static constexpr int kAccumulators = 1;
  static constexpr int kTileRows = 2;

  template <class Op>
  static F Each(Op op) {
    F result;
    for (int i = 0; i < 16; ++i) result.lane[i] = op(i);
    return result;
  }

  static F Set(float x) {
    return Each([&](int) { return x; });
  }
  static F Zero() { return Set(0.0f); }
  static F Load(const float* p) {
    return Each([&](int i) { return p[i]; });
  }
  static void Store(float* p, F x) {
    for (int i = 0; i < 16; ++i) p[i] = x.lane[i];
  }
  static F Add(F a, F b) {
    return Each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static F Sub(F a, F b) {
    return Each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static F Mul(F a, F b) {
    return Each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static F Div(F a, F b) {
    return Each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  /// a * b + c, rounded once.
  static F Fma(F a, F b, F c) {
    return Each([&](int i) { return __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]); });
  }
  /// c - a * b, rounded once.
  static F Fnma(F a, F b, F c) {
    return Each([&](int i) { return __builtin_fmaf(-a.lane[i], b.lane[i], c.lane[i]); });
  }
  /// a < b ? a : b, so that a NaN in b stays.
  static F Min(F a, F b) {
    return Each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  /// a > b ? a : b, so that a NaN in b stays.
  static F Max(F a, F b) {
    return Each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static F Abs(F x) {
    return Each([&](int i) { return __builtin_fabsf(x.lane[i]); });
  }
  /// a < b ? x : y.
  static F SelectLess(F a, F b, F x, F y) {
    return Each([&](int i) { return a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i]; });
  }

  /// To the nearest integer, halves to even; |x| < 2^22.
  static I ToInt(F x) {
    I result;
    for (int i = 0; i < 16; ++i) {
      // Adding 1.5 * 2^23 leaves the integer in the low bits of the sum.
      const float sum = x.lane[i] + 12582912.0f;
      int32_t bits;
      __builtin_memcpy(&bits, &sum, 4);
      result.lane[i] = bits - 0x4B400000;
    }
    return result;
  }
  static F ToFloat(I x) {
    return Each([&](int i) { return static_cast<float>(x.lane[i]); });
  }
  /// 2^n for n in [-126, 127].
  static F Pow2(I n) {
    return Each([&](int i) {
      const uint32_t bits = static_cast<uint32_t>(n.lane[i] + 127) << 23;
      float result;
      __builtin_memcpy(&result, &bits, 4);
      return result;
    });
  }

  /// Lanes i and i + 8 are added, then i and i + 4, i + 2, i + 1: the one order of every CPU.
  static float ReduceAdd(F x) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) x.lane[i] = x.lane[i] + x.lane[i + half];
    }
    return x.lane[0];
  }
  static float ReduceMax(F x) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) {
        x.lane[i] = x.lane[i] > x.lane[i + half] ? x.lane[i] : x.lane[i + half];
      }
    }
    return x.lane[0];
  }

  static float HalfToFloat(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
    const uint32_t magnitude = half & 0x7FFF;
    float result;
    if (magnitude < 0x0400) {  // zero and subnormal: magnitude * 2^-24
      result = static_cast<float>(magnitude) * 0x1p-24f;
    } else {
      const uint32_t bits =
          magnitude >= 0x7C00 ? 0x7F800000 | (magnitude << 13) : (magnitude << 13) + (112u << 23);
      __builtin_memcpy(&result, &bits, 4);
    }
    uint32_t bits;
    __builtin_memcpy(&bits, &result, 4);
    bits |= sign;
    __builtin_memcpy(&result, &bits, 4);
    return result;
  }
  static uint16_t FloatToHalf(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return sign | 0x7E00 | static_cast<uint16_t>(bits >> 13 & 0x1FF);
    if (bits >= 0x477FF000) return sign | 0x7C00;  // rounds to 65536 or more
    if (bits < 0x38800000) {  // below 2^-14: adding 0.5 rounds to a multiple of 2^-24
      float magnitude;
      __builtin_memcpy(&magnitude, &bits, 4);
      magnitude += 0.5f;
      __builtin_memcpy(&bits, &magnitude, 4);
      return sign | static_cast<uint16_t>(bits - 0x3F000000);
    }
    const uint32_t odd = bits >> 13 & 1;
    return sign | static_cast<uint16_t>((bits - (112u << 23) + 0xFFF + odd) >> 13);
  }
  static uint16_t FloatToBf16(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }

  static F LoadF16(const uint16_t* p) {
    return Each([&](int i) { return HalfToFloat(p[i]); });
  }
  static F LoadBf16(const uint16_t* p) {
    return Each([&](int i) {
      const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
      float result;
      __builtin_memcpy(&result, &bits, 4);
      return result;
    });
  }
  static F LoadInt8(const int8_t* p) {
    return Each([&](int i) { return static_cast<float>(p[i]); });
  }
  static void StoreF16(uint16_t* p, F x) {
    for (int i = 0; i < 16; ++i) p[i] = FloatToHalf(x.lane[i]);
  }
  static void StoreBf16(uint16_t* p, F x) {
    for (int i = 0; i < 16; ++i) p[i] = FloatToBf16(x.lane[i]);
  }
  /// Two vectors of integers in -128..127 as 32 bytes, and the sum of each.
  static void StoreInt8x32(int8_t* p, I a, I b, int32_t* sum_a, int32_t* sum_b) {
    *sum_a = *sum_b = 0;
    for (int i = 0; i < 16; ++i) {
      p[i] = static_cast<int8_t>(a.lane[i]);
      p[i + 16] = static_cast<int8_t>(b.lane[i]);
      *sum_a += p[i];
      *sum_b += p[i + 16];
    }
  }
};

}  // namespace
}  // namespace lamina::kernels
