// The primitives of isa/avx512_bf16.h on AVX2: what a CPU with bf16 products computes, for tests on
// CPUs without.
#pragma once

#include "kernels/isa/avx2_f32.h"

namespace lamina::kernels {
namespace {

struct SimdBf16 : SimdF32 {
  struct Pairs {
    __m256i lo, hi;
  };
  static Pairs LoadPairs(const uint32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
  }
  static void StorePairs(uint32_t* p, Pairs a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.hi);
  }
  static Pairs BroadcastPair(const uint32_t* p) {
    const __m256i all = _mm256_set1_epi32(static_cast<int32_t>(*p));
    return {all, all};
  }
  static Pairs Narrow(F first, F second) {
    uint16_t words[32];
    StoreBf16(words, first);
    StoreBf16(words + 16, second);
    return LoadPairs(reinterpret_cast<const uint32_t*>(words));
  }
  static __m256i Join(__m256 low, __m256 high) {
    return _mm256_or_si256(NarrowBf16(low), _mm256_slli_epi32(NarrowBf16(high), 16));
  }
  static Pairs MakePairs(F low, F high) { return {Join(low.lo, high.lo), Join(low.hi, high.hi)}; }
  static __m256 First(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
  static __m256 Second(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(int(0xFFFF0000))));
  }
  static __m256 DotHalf(__m256 sum, __m256i a, __m256i b) {
    sum = _mm256_fmadd_ps(Second(a), Second(b), sum);
    return _mm256_fmadd_ps(First(a), First(b), sum);
  }
  static F Dot(F sum, Pairs a, Pairs b) {
    return {DotHalf(sum.lo, a.lo, b.lo), DotHalf(sum.hi, a.hi, b.hi)};
  }
};

}  // namespace
}  // namespace lamina::kernels
