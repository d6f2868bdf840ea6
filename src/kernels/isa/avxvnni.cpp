// AVX2 with AVX-VNNI (Alder Lake, Zen 5 and later): vpdpbusd on 256 bits adds four products of
// unsigned weights and signed inputs into 32 bits, exactly.
#include "kernels/isa/avx2_f32.h"
#include "kernels/isa/x86_256.h"

namespace lamina::kernels {
namespace {

struct Simd : Simd256 {
  template <int kMax>
  static constexpr bool kBiased = true;
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
      if constexpr (kShift > 0) {
        total = {_mm256_slli_epi32(total.lo, kShift), _mm256_slli_epi32(total.hi, kShift)};
      }
    }
    template <int kStep>
    LAMINA_INLINE void Add(U8 w, Inputs x) {
      total.lo = _mm256_dpbusd_avx_epi32(total.lo, w.lo, x);
      total.hi = _mm256_dpbusd_avx_epi32(total.hi, w.hi, x);
    }
    template <int kShift>
    LAMINA_INLINE I32 Total(const int32_t*) const {
      return total;
    }
  };

  static constexpr int kSumRows = 1;
  static constexpr int kSumsInRegisters = 2;
  static constexpr int kTileOfFewPointers = 99;
#ifdef LAMINA_EMULATED  // only needs to cover the primitives
  static constexpr int kPackedTileRows = 2;
  static constexpr int kTileRows = 2;
#else
  static constexpr int kPackedTileRows = 4;
  static constexpr int kTileRows = 4;
#endif
  static constexpr int kTilePanels = 1;
  static constexpr int kFloatTileRows = 6;
  static constexpr int kMinRowsToExpand = 5;
  static constexpr int kMinRowsToExpandCheap = 5;
};

}  // namespace
}  // namespace lamina::kernels

#include "kernels/generic/table.inl.h"
