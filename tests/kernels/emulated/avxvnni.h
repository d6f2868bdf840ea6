// vpdpbusd of AVX-VNNI from AVX2's instructions, exact over all operands: compiled in before
// isa/avxvnni.cpp.
#pragma once

#include <immintrin.h>

inline __attribute__((always_inline)) __m256i EmulatedDpbusd(__m256i sum, __m256i u, __m256i s) {
  // Even and odd bytes as 16-bit numbers: 255 * 128 * 2 fits vpmaddwd's 32 bits.
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(u, _mm256_set1_epi16(255)),
                                         _mm256_srai_epi16(_mm256_slli_epi16(s, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(u, 8), _mm256_srai_epi16(s, 8));
  return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
#define _mm256_dpbusd_avx_epi32 EmulatedDpbusd
