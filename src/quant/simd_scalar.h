// The vector primitives in plain C++: what every CPU's version must equal, bit for bit.
//
// A Simd describes 16 rows side by side. U8 is 64 bytes: 16 dword lanes (one per row) of 4
// consecutive k. I32 and F32 are 16 lanes, one per row. The layout headers (quant/) use the part
// that loads weights and scales, kernels/generic/matmul.inl.h the rest.
#pragma once

#include <stdint.h>

#include "quant/bits.h"
#include "quant/unroll.h"

namespace lamina {
namespace {  // every unit has its own copy: units of different CPUs must not share code

struct ScalarSimd {
  struct U8 {
    uint8_t v[64];
  };
  struct I32 {
    int32_t v[16];
  };
  struct F32 {
    float v[16];
  };

  // ---- bytes ----
  static U8 LoadBytes(const uint8_t* p) {
    U8 out;
    __builtin_memcpy(out.v, p, 64);
    return out;
  }
  static void StoreBytes(uint8_t* p, U8 a) { __builtin_memcpy(p, a.v, 64); }
  /// Each byte's bits shifted right by kShift (left where negative), then masked. The mask keeps
  /// only bits that stay within their byte, so wider shifts may be used.
  template <int kShift, int kMask>
  static U8 Field(U8 a) {
    for (uint8_t& byte : a.v) {
      byte = uint8_t(
          (kShift >= 0 ? byte >> (kShift >= 0 ? kShift : 0) : byte << (kShift >= 0 ? 0 : -kShift)) &
          kMask);
    }
    return a;
  }
  static U8 Or(U8 a, U8 b) {
    for (int i = 0; i < 64; ++i) a.v[i] |= b.v[i];
    return a;
  }
  /// table[a] for bytes 0..15.
  static U8 Lookup(U8 a, const uint8_t* table) {
    for (uint8_t& byte : a.v) byte = table[byte];
    return a;
  }
  /// 16 u16, each in the low half of its dword lane.
  static U8 LoadU16(const uint8_t* p) {
    U8 out = {};
    for (int i = 0; i < 16; ++i) __builtin_memcpy(out.v + 4 * i, p + 2 * i, 2);
    return out;
  }

  // ---- integers ----
  /// Byte kByte of each dword lane, unsigned.
  template <int kByte>
  static I32 Byte(U8 a) {
    I32 out;
    for (int i = 0; i < 16; ++i) out.v[i] = a.v[4 * i + kByte];
    return out;
  }
  /// 16 int8.
  static I32 LoadI8(const uint8_t* p) {
    I32 out;
    for (int i = 0; i < 16; ++i) out.v[i] = int8_t(p[i]);
    return out;
  }
  static I32 Add(I32 a, I32 b) {
    for (int i = 0; i < 16; ++i) a.v[i] += b.v[i];
    return a;
  }
  static I32 SetI32(int32_t x) {
    I32 out;
    for (int32_t& lane : out.v) lane = x;
    return out;
  }

  // ---- floats ----
  static F32 ToF32(I32 a) {
    F32 out;
    for (int i = 0; i < 16; ++i) out.v[i] = float(a.v[i]);
    return out;
  }
  static F32 SetF32(float x) {
    F32 out;
    for (float& lane : out.v) lane = x;
    return out;
  }
  static F32 LoadF32(const float* p) {
    F32 out;
    __builtin_memcpy(out.v, p, 64);
    return out;
  }
  static void StoreF32(float* p, F32 a) { __builtin_memcpy(p, a.v, 64); }
  static F32 LoadF16(const uint8_t* p) {
    F32 out;
    for (int i = 0; i < 16; ++i) out.v[i] = quant::F16ToF32(quant::ReadAs<uint16_t>(p + 2 * i));
    return out;
  }
  static F32 LoadBf16(const uint8_t* p) {
    F32 out;
    for (int i = 0; i < 16; ++i) out.v[i] = quant::Bf16ToF32(quant::ReadAs<uint16_t>(p + 2 * i));
    return out;
  }
  static F32 Negate(F32 a) {
    for (float& lane : a.v) lane = -lane;
    return a;
  }
  static F32 AddF32(F32 a, F32 b) {
    for (int i = 0; i < 16; ++i) a.v[i] += b.v[i];
    return a;
  }
  static F32 Mul(F32 a, F32 b) {
    for (int i = 0; i < 16; ++i) a.v[i] *= b.v[i];
    return a;
  }
  /// a * b + c with one rounding.
  static F32 Fma(F32 a, F32 b, F32 c) {
    for (int i = 0; i < 16; ++i) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
    return c;
  }

  // ---- products of u8 weights and int8 inputs ----
  /// Whether sums of weights up to kMax start from bias * -(sum of inputs). Units that turn wide
  /// weights back into signed ones start from zero.
  template <int kMax>
  static constexpr bool kBiased = true;
  using Inputs = const int8_t*;
  /// Four inputs for all rows, to be used kUses times.
  template <int kUses>
  static Inputs Broadcast(const int8_t* four) {
    return four;
  }
  template <int kMax>
  static U8 Prepare(U8 a) {
    return a;
  }
  /// An exact sum over steps 0..kSteps-1 of 4 products per lane, plus *neg_sum << kShift where
  /// kShift >= 0. Start and Total are both given it: whichever is cheaper adds it.
  template <int kMax, int kSteps>
  struct Sum {
    I32 total;
    template <int kShift>
    void Start(const int32_t* neg_sum) {
      total = SetI32(kShift < 0 ? 0 : *neg_sum * (1 << (kShift < 0 ? 0 : kShift)));
    }
    template <int kStep>
    void Add(U8 weights, Inputs inputs) {
      for (int i = 0; i < 16; ++i) {
        int32_t sum = 0;
        for (int c = 0; c < 4; ++c) sum += int32_t(weights.v[4 * i + c]) * inputs[c];
        total.v[i] += sum;
      }
    }
    template <int kShift>
    I32 Total(const int32_t*) const {
      return total;
    }
  };

  static void Prefetch(const uint8_t*) {}

  /// Rows and panels of the tiles (kernels/generic/matmul.inl.h): the plainest there are.
  static constexpr int kSumRows = 1;  ///< 2 where PairSum multiplies two rows of inputs at once.
  static constexpr int kSumsInRegisters = 64;
  static constexpr int kTileOfFewPointers = 99;  // never
  static constexpr int kPackedTileRows = 1;
  static constexpr int kTileRows = 1;
  static constexpr int kTilePanels = 1;
  static constexpr int kFloatTileRows = 1;
  static constexpr int kMinRowsToExpand = 4;
  static constexpr int kMinRowsToExpandCheap = 4;
};

}  // namespace
}  // namespace lamina
