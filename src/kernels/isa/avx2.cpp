// AVX2 with FMA and F16C (Haswell, Zen and later). There is no instruction that adds four products
// of bytes into 32 bits: vpmaddubsw adds two into 16, vpmaddwd with ones widens. As many products
// are added in 16 bits as provably fit before they are widened.
#include "kernels/isa/avx2_f32.h"
#include "kernels/isa/x86_256.h"

namespace lamina::kernels {
namespace {

struct Simd : Simd256 {
  /// Pins two sums to this place in the program. Without it GCC collects all products first and
  /// adds them up at the end, which takes four times the registers there are.
  static LAMINA_INLINE void KeepOrder(__m256i& a, __m256i& b) { __asm__("" : "+x"(a), "+x"(b)); }

  struct Signed {
    __m256i abs_lo, abs_hi, lo, hi;
  };

  // vpmaddubsw wants one unsigned operand and saturates from 128 * 255 on: weights wider than 7
  // bits go back to signed, |w| <= 128 is multiplied by the input with w's sign: 128 * 127 * 2 <
  // 32768.
  template <int kMax>
  static constexpr bool kBiased = kMax <= 127;

  template <int kMax>
  static LAMINA_INLINE auto Prepare(U8 a) {
    if constexpr (kMax <= 127) {
      return a;
    } else {
      const __m256i flip = _mm256_set1_epi8(char(0x80));
      const __m256i lo = _mm256_xor_si256(a.lo, flip), hi = _mm256_xor_si256(a.hi, flip);
      return Signed{_mm256_abs_epi8(lo), _mm256_abs_epi8(hi), lo, hi};
    }
  }

  template <int kMax, int kSteps>
  struct Sum {
    // Inputs are within +-127, so one vpmaddubsw gives at most kMax * 127 * 2.
    static constexpr int kFit = kMax <= 127 ? 32767 / (kMax * 254) : 1;
    I32 total;
    __m256i narrow_lo, narrow_hi;

    template <int kShift>
    LAMINA_INLINE void Start(const int32_t*) {}  // at the end: a register less on the way

    template <int kStep>
    LAMINA_INLINE void AddPair(__m256i lo, __m256i hi) {
      constexpr bool kFirst = kStep % kFit == 0;
      constexpr bool kLast = kStep % kFit == kFit - 1 || kStep == kSteps - 1;
      narrow_lo = kFirst ? lo : _mm256_add_epi16(narrow_lo, lo);
      narrow_hi = kFirst ? hi : _mm256_add_epi16(narrow_hi, hi);
      KeepOrder(narrow_lo, narrow_hi);
      if constexpr (kLast) {
        const __m256i ones = _mm256_set1_epi16(1);
        const __m256i wide_lo = _mm256_madd_epi16(narrow_lo, ones);
        const __m256i wide_hi = _mm256_madd_epi16(narrow_hi, ones);
        total.lo = kStep < kFit ? wide_lo : _mm256_add_epi32(total.lo, wide_lo);
        total.hi = kStep < kFit ? wide_hi : _mm256_add_epi32(total.hi, wide_hi);
        KeepOrder(total.lo, total.hi);
      }
    }
    template <int kStep>
    LAMINA_INLINE void Add(U8 w, Inputs x) {
      AddPair<kStep>(_mm256_maddubs_epi16(w.lo, x), _mm256_maddubs_epi16(w.hi, x));
    }
    template <int kStep>
    LAMINA_INLINE void Add(Signed w, Inputs x) {
      AddPair<kStep>(_mm256_maddubs_epi16(w.abs_lo, _mm256_sign_epi8(x, w.lo)),
                     _mm256_maddubs_epi16(w.abs_hi, _mm256_sign_epi8(x, w.hi)));
    }
    template <int kShift>
    LAMINA_INLINE I32 Total(const int32_t* neg_sum) const {
      if constexpr (kShift < 0) return total;
      return Simd256::Add(total, SetI32(*neg_sum * (1 << (kShift < 0 ? 0 : kShift))));
    }
  };

  static constexpr int kSumRows = 1;
  static constexpr int kSumsInRegisters = 2;
  static constexpr int kTileOfFewPointers = 99;
  static constexpr int kPackedTileRows = 6;
  static constexpr int kTileRows = 6;
  static constexpr int kTilePanels = 1;
  static constexpr int kFloatTileRows = 6;
  static constexpr int kMinRowsToExpand = 7;
  static constexpr int kMinRowsToExpandCheap = 24;
};

}  // namespace
}  // namespace lamina::kernels

#include "kernels/generic/table.inl.h"
