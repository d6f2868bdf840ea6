// Stands in for the compiler's header: AVX-512 intrinsics as portable code, whatever this CPU has.
// What SIMDe 0.7.4 lacks is made here of its 256-bit halves.
#pragma once

#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>
#include <string.h>

using __mmask16 = simde__mmask16;

template <class To, class From>
inline To EmulatedBits(const From& from) {
  To to;
  static_assert(sizeof(to) == sizeof(from));
  memcpy(&to, &from, sizeof(to));
  return to;
}
struct EmulatedHalves {
  __m256i half[2];
};
struct EmulatedFloatHalves {
  __m256 half[2];
};

// SIMDe's own rounds twice.
#undef _mm512_fmadd_ps
#undef _mm512_fnmadd_ps
struct EmulatedLanes {
  float lane[16];
};
inline __m512 EmulatedFma(float sign, __m512 a, __m512 b, __m512 c) {
  auto x = EmulatedBits<EmulatedLanes>(a);
  const auto y = EmulatedBits<EmulatedLanes>(b), z = EmulatedBits<EmulatedLanes>(c);
  for (int i = 0; i < 16; ++i) {
    x.lane[i] = __builtin_fmaf(sign * x.lane[i], y.lane[i], z.lane[i]);
  }
  return EmulatedBits<__m512>(x);
}
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) { return EmulatedFma(1, a, b, c); }
inline __m512 _mm512_fnmadd_ps(__m512 a, __m512 b, __m512 c) { return EmulatedFma(-1, a, b, c); }

// Products of bf16 in the order of Intel's manual: the second of each pair first, then the first.
#undef _mm512_dpbf16_ps
inline __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  auto out = EmulatedBits<EmulatedLanes>(sum);
  uint32_t x[16], y[16];
  memcpy(x, &a, sizeof(x));
  memcpy(y, &b, sizeof(y));
  for (int i = 0; i < 16; ++i) {
    const auto second = [](uint32_t pair) { return EmulatedBits<float>(pair & 0xFFFF0000); };
    const auto first = [](uint32_t pair) { return EmulatedBits<float>(pair << 16); };
    const float part = __builtin_fmaf(second(x[i]), second(y[i]), out.lane[i]);
    out.lane[i] = __builtin_fmaf(first(x[i]), first(y[i]), part);
  }
  return EmulatedBits<__m512>(out);
}
inline __m512bh _mm512_cvtne2ps_pbh(__m512 high, __m512 low) {
  uint32_t in[32];
  uint16_t out[32];
  memcpy(in, &low, 64);
  memcpy(in + 16, &high, 64);
  for (int i = 0; i < 32; ++i) {
    const bool is_nan = (in[i] & 0x7FFFFFFF) > 0x7F800000;
    out[i] = static_cast<uint16_t>(is_nan ? in[i] >> 16 | 0x40
                                          : (in[i] + 0x7FFF + (in[i] >> 16 & 1)) >> 16);
  }
  return EmulatedBits<__m512bh>(out);
}

inline __m512i _mm512_cvtps_epi32(__m512 x) {
  const auto in = EmulatedBits<EmulatedFloatHalves>(x);
  return EmulatedBits<__m512i>(
      EmulatedHalves{{_mm256_cvtps_epi32(in.half[0]), _mm256_cvtps_epi32(in.half[1])}});
}
inline __m512 _mm512_cvtepi32_ps(__m512i x) {
  const auto in = EmulatedBits<EmulatedHalves>(x);
  return EmulatedBits<__m512>(
      EmulatedFloatHalves{{_mm256_cvtepi32_ps(in.half[0]), _mm256_cvtepi32_ps(in.half[1])}});
}
inline __m256 _mm512_extractf32x8_ps(__m512 x, int half) {
  return EmulatedBits<EmulatedFloatHalves>(x).half[half];
}
inline __m512 _mm512_cvtph_ps(__m256i x) {
  return EmulatedBits<__m512>(
      EmulatedFloatHalves{{_mm256_cvtph_ps(_mm256_castsi256_si128(x)),
                           _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))}});
}
inline __m256i _mm512_cvtps_ph(__m512 x, int rounding) {
  const auto in = EmulatedBits<EmulatedFloatHalves>(x);
  (void)rounding;  // 0: to nearest even, as SIMDe's conversion does
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm256_cvtps_ph(in.half[0], 0)),
                                 _mm256_cvtps_ph(in.half[1], 0), 1);
}
inline __m512i _mm512_cvtepu16_epi32(__m256i x) {
  return EmulatedBits<__m512i>(
      EmulatedHalves{{_mm256_cvtepu16_epi32(_mm256_castsi256_si128(x)),
                      _mm256_cvtepu16_epi32(_mm256_extracti128_si256(x, 1))}});
}
inline __m512i _mm512_cvtepi8_epi32(__m128i x) {
  return EmulatedBits<__m512i>(
      EmulatedHalves{{_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(x, x))}});
}
inline __m256i _mm512_cvtepi32_epi16(__m512i x) {
  int32_t in[16];
  int16_t out[16];
  memcpy(in, &x, sizeof(in));
  for (int i = 0; i < 16; ++i) out[i] = static_cast<int16_t>(in[i]);
  return EmulatedBits<__m256i>(out);
}
