// What the CPUs with 256-bit vectors share: 16 rows are two registers. Included by isa/avx2.cpp and
// isa/avxvnni.cpp, which add the integer products.
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "quant/unroll.h"

namespace lamina::kernels {
namespace {

struct Simd256 {
  struct U8 {
    __m256i lo, hi;  // rows 0..7, 8..15
  };
  struct I32 {
    __m256i lo, hi;
  };
  struct F32 {
    __m256 lo, hi;
  };

  static LAMINA_INLINE __m256i Load256(const void* p) {
    return _mm256_load_si256(static_cast<const __m256i*>(p));
  }
  static LAMINA_INLINE __m128i Load128(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }

  static LAMINA_INLINE U8 LoadBytes(const uint8_t* p) { return {Load256(p), Load256(p + 32)}; }
  static LAMINA_INLINE void StoreBytes(uint8_t* p, U8 a) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(p), a.lo);
    _mm256_store_si256(reinterpret_cast<__m256i*>(p + 32), a.hi);
  }
  template <int kShift>
  static LAMINA_INLINE __m256i Shift(__m256i a) {
    if constexpr (kShift > 0) return _mm256_srli_epi16(a, kShift > 0 ? kShift : 0);
    if constexpr (kShift < 0) return _mm256_slli_epi16(a, kShift < 0 ? -kShift : 0);
    return a;
  }
  template <int kShift, int kMask>
  static LAMINA_INLINE U8 Field(U8 a) {
    const __m256i mask = _mm256_set1_epi8(char(kMask));
    return {_mm256_and_si256(Shift<kShift>(a.lo), mask),
            _mm256_and_si256(Shift<kShift>(a.hi), mask)};
  }
  static LAMINA_INLINE U8 Or(U8 a, U8 b) {
    return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
  }
  static LAMINA_INLINE U8 Lookup(U8 a, const uint8_t* table) {
    const __m256i t = _mm256_broadcastsi128_si256(Load128(table));
    return {_mm256_shuffle_epi8(t, a.lo), _mm256_shuffle_epi8(t, a.hi)};
  }
  static LAMINA_INLINE U8 LoadU16(const uint8_t* p) {
    return {_mm256_cvtepu16_epi32(Load128(p)), _mm256_cvtepu16_epi32(Load128(p + 16))};
  }

  template <int kByte>
  static LAMINA_INLINE I32 Byte(U8 a) {
    const __m256i mask = _mm256_set1_epi32(255);
    return {_mm256_and_si256(_mm256_srli_epi32(a.lo, 8 * kByte), mask),
            _mm256_and_si256(_mm256_srli_epi32(a.hi, 8 * kByte), mask)};
  }
  static LAMINA_INLINE I32 LoadI8(const uint8_t* p) {
    const __m128i bytes = Load128(p);
    return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
  }
  static LAMINA_INLINE I32 Add(I32 a, I32 b) {
    return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
  }
  static LAMINA_INLINE I32 SetI32(int32_t x) {
    return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
  }

  static LAMINA_INLINE F32 ToF32(I32 a) {
    return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
  }
  static LAMINA_INLINE F32 SetF32(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static LAMINA_INLINE F32 LoadF32(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
  }
  static LAMINA_INLINE void StoreF32(float* p, F32 a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
  }
  static LAMINA_INLINE F32 LoadF16(const uint8_t* p) {
    return {_mm256_cvtph_ps(Load128(p)), _mm256_cvtph_ps(Load128(p + 16))};
  }
  static LAMINA_INLINE F32 LoadBf16(const uint8_t* p) {
    const U8 words = LoadU16(p);
    return {_mm256_castsi256_ps(_mm256_slli_epi32(words.lo, 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(words.hi, 16))};
  }
  static LAMINA_INLINE F32 Negate(F32 a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_xor_ps(a.lo, sign), _mm256_xor_ps(a.hi, sign)};
  }
  static LAMINA_INLINE F32 AddF32(F32 a, F32 b) {
    return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
  }
  static LAMINA_INLINE F32 Mul(F32 a, F32 b) {
    return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
  }
  static LAMINA_INLINE F32 Fma(F32 a, F32 b, F32 c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
  }

  using Inputs = __m256i;
  template <int kUses>
  static LAMINA_INLINE Inputs Broadcast(const int8_t* four) {
    int32_t dword;
    __builtin_memcpy(&dword, four, 4);
    return _mm256_set1_epi32(dword);
  }
  static LAMINA_INLINE void Prefetch(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
};

}  // namespace
}  // namespace lamina::kernels
