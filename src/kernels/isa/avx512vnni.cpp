// AVX-512 (F, BW, DQ, VL) with VNNI (Ice Lake, Zen 4 and later): 16 rows are one register.
#include <immintrin.h>
#include <stdint.h>

#include "kernels/isa/avx512_f32.h"
#include "quant/unroll.h"

namespace lamina::kernels {
namespace {

struct Simd {
  using U8 = __m512i;
  using I32 = __m512i;
  using F32 = __m512;

  static LAMINA_INLINE __m128i Load128(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }
  static LAMINA_INLINE __m256i Load256(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }

  static LAMINA_INLINE U8 LoadBytes(const uint8_t* p) {
    return _mm512_loadu_si512(static_cast<const void*>(p));
  }
  static LAMINA_INLINE void StoreBytes(uint8_t* p, U8 a) {
    _mm512_storeu_si512(static_cast<void*>(p), a);
  }
  template <int kShift, int kMask>
  static LAMINA_INLINE U8 Field(U8 a) {
    if constexpr (kShift > 0) a = _mm512_srli_epi16(a, kShift > 0 ? kShift : 0);
    if constexpr (kShift < 0) a = _mm512_slli_epi16(a, kShift < 0 ? -kShift : 0);
    return _mm512_and_si512(a, _mm512_set1_epi8(char(kMask)));
  }
  static LAMINA_INLINE U8 Or(U8 a, U8 b) { return _mm512_or_si512(a, b); }
  static LAMINA_INLINE U8 Lookup(U8 a, const uint8_t* table) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(Load128(table)), a);
  }
  static LAMINA_INLINE U8 LoadU16(const uint8_t* p) { return _mm512_cvtepu16_epi32(Load256(p)); }

  template <int kByte>
  static LAMINA_INLINE I32 Byte(U8 a) {
    return _mm512_and_si512(_mm512_srli_epi32(a, 8 * kByte), _mm512_set1_epi32(255));
  }
  static LAMINA_INLINE I32 LoadI8(const uint8_t* p) { return _mm512_cvtepi8_epi32(Load128(p)); }
  static LAMINA_INLINE I32 Add(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
  static LAMINA_INLINE I32 SetI32(int32_t x) { return _mm512_set1_epi32(x); }

  static LAMINA_INLINE F32 ToF32(I32 a) { return _mm512_cvtepi32_ps(a); }
  static LAMINA_INLINE F32 SetF32(float x) { return _mm512_set1_ps(x); }
  static LAMINA_INLINE F32 LoadF32(const float* p) { return _mm512_loadu_ps(p); }
  static LAMINA_INLINE void StoreF32(float* p, F32 a) { _mm512_storeu_ps(p, a); }
  static LAMINA_INLINE F32 LoadF16(const uint8_t* p) { return _mm512_cvtph_ps(Load256(p)); }
  static LAMINA_INLINE F32 LoadBf16(const uint8_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(LoadU16(p), 16));
  }
  static LAMINA_INLINE F32 Negate(F32 a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
  static LAMINA_INLINE F32 AddF32(F32 a, F32 b) { return _mm512_add_ps(a, b); }
  static LAMINA_INLINE F32 Mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
  static LAMINA_INLINE F32 Fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }

  template <int kMax>
  static constexpr bool kBiased = true;
  using Dword = int32_t __attribute__((may_alias));
  /// Inputs in memory, for an instruction that broadcasts them itself.
  struct InMemory {
    const Dword* dword;
  };
  template <int kUses>
  static LAMINA_INLINE auto Broadcast(const int8_t* four) {
    const auto* dword = reinterpret_cast<const Dword*>(four);
    if constexpr (kUses == 1) {
      return InMemory{dword};
    } else {
      return _mm512_set1_epi32(*dword);
    }
  }
  template <int kMax>
  static LAMINA_INLINE U8 Prepare(U8 a) {
    return a;
  }
  template <int kMax, int kSteps>
  struct Sum {
    I32 total;
    template <int kShift>
    LAMINA_INLINE void Start(const int32_t* neg_sum) {
      total = SetI32(kShift < 0 ? 0 : *neg_sum);
      if constexpr (kShift > 0) total = _mm512_slli_epi32(total, kShift);
    }
    template <int kStep>
    LAMINA_INLINE void Add(U8 w, __m512i x) {
      total = _mm512_dpbusd_epi32(total, w, x);
    }
    template <int kStep>
    LAMINA_INLINE void Add(U8 w, InMemory x) {
#ifdef LAMINA_EMULATED
      total = _mm512_dpbusd_epi32(total, w, _mm512_set1_epi32(*x.dword));
#else
      // GCC 12 never makes the broadcast an operand by itself.
      __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(total) : "v"(w), "m"(*x.dword));
#endif
    }
    template <int kShift>
    LAMINA_INLINE I32 Total(const int32_t*) const {
      return total;
    }
  };
  static LAMINA_INLINE void Prefetch(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }

  // A prototype of these tiles on Zen 5 was fastest with 2 panels x 6 rows and f32 sums in
  // registers, and decoded fastest as one stream of one panel. Up to 16 rows the packed weights are
  // used as they come from memory: 8 rows hide the unpacking, and expanding first would stop the
  // stream. This unit itself is not measured yet. Emulation only needs to cover the primitives.
#ifdef LAMINA_EMULATED
  static constexpr int kPackedTileRows = 2;
  static constexpr int kTileRows = 2;
  static constexpr int kFloatTileRows = 2;
  static constexpr int kTileOfFewPointers = 3;
  static constexpr int kMinRowsToExpand = 5;
  static constexpr int kMinRowsToExpandCheap = 5;
#else
  static constexpr int kPackedTileRows = 8;
  static constexpr int kTileRows = 6;
  static constexpr int kFloatTileRows = 8;
  static constexpr int kTileOfFewPointers = 8;
  static constexpr int kMinRowsToExpand = 17;
  static constexpr int kMinRowsToExpandCheap = 17;
#endif
  static constexpr int kSumRows = 1;
  static constexpr int kSumsInRegisters = 12;
  static constexpr int kTilePanels = 2;
};

}  // namespace
}  // namespace lamina::kernels

#include "kernels/generic/table.inl.h"
