// Products of pairs of bf16 (AVX512_BF16: Cooper Lake, Zen 4 and later) beside the f32 lanes.
#pragma once

#include "kernels/isa/avx512_f32.h"

namespace lamina::kernels {
namespace {

struct SimdBf16 : SimdF32 {
  /// 16 lanes of two bf16, the first in the low half.
  using Pairs = __m512i;

  static Pairs LoadPairs(const uint32_t* p) {
    return _mm512_loadu_si512(static_cast<const void*>(p));
  }
  static void StorePairs(uint32_t* p, Pairs a) { _mm512_storeu_si512(static_cast<void*>(p), a); }
  static Pairs BroadcastPair(const uint32_t* p) {
    return _mm512_set1_epi32(static_cast<int32_t>(*p));
  }
  /// 32 values in order: lane i has values 2 i and 2 i + 1.
  static Pairs Narrow(F first, F second) { return (__m512i)_mm512_cvtne2ps_pbh(second, first); }
  /// Lane i has low[i] and high[i].
  static Pairs MakePairs(F low, F high) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9,  //
                         24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, Narrow(low, high));
  }
  /// sum + a.first * b.first + a.second * b.second; subnormals count as zero.
  static F Dot(F sum, Pairs a, Pairs b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
};

}  // namespace
}  // namespace lamina::kernels
