// ARMv8.6 with int8 matrix products (Neoverse V1 and N2, Apple M2 and later): smmla multiplies two
// rows of weights by two rows of inputs over 8 k, twice the products of sdot.
#include "kernels/isa/neon_128.h"
#include "kernels/isa/neon_f32.h"

namespace lamina::kernels {
namespace {

struct Simd : SimdNeon {
  static constexpr int kSumRows = 2;

  /// Four inputs of two rows each.
  struct InputPair {
    const int8_t* first;
    const int8_t* second;
  };
  static LAMINA_INLINE InputPair Pair(const int8_t* first, const int8_t* second) {
    return {first, second};
  }
  /// Two steps of four inputs: [first: step a, step b][second: a, b].
  static LAMINA_INLINE int8x16_t Join(InputPair a, InputPair b) {
    int32_t lanes[4];
    __builtin_memcpy(lanes, a.first, 4);
    __builtin_memcpy(lanes + 1, b.first, 4);
    __builtin_memcpy(lanes + 2, a.second, 4);
    __builtin_memcpy(lanes + 3, b.second, 4);
    return vreinterpretq_s8_s32(vld1q_s32(lanes));
  }

  /// Sums for two rows of inputs. Every second step multiplies what two steps brought; the register
  /// of weight rows r, r + 1 holds {r first, r second, r + 1 first, r + 1 second}.
  template <int kMax, int kSteps>
  struct PairSum {
    static_assert(kSteps % 2 == 0);
    int32x4_t sums[8];
    U8 waiting;
    InputPair waiting_inputs;

    template <int kShift>
    LAMINA_INLINE void Start(const int32_t* first, const int32_t* second) {
      constexpr int kFactor = 1 << (kShift < 0 ? 0 : kShift);
      const int32x2_t pair = {kShift < 0 ? 0 : *first * kFactor,
                              kShift < 0 ? 0 : *second * kFactor};
      for (int32x4_t& sum : sums) sum = vcombine_s32(pair, pair);
    }
    template <int kStep>
    LAMINA_INLINE void Add(U8 w, InputPair x) {
      if constexpr (kStep % 2 == 0) {
        waiting = w;
        waiting_inputs = x;
      } else {
        const int8x16_t inputs = Join(waiting_inputs, x);
        quant::Unroll<0, 4>([&](auto i) LAMINA_INLINE_LAMBDA {
          const uint32x4_t a = vreinterpretq_u32_u8(waiting.quad[i]);
          const uint32x4_t b = vreinterpretq_u32_u8(w.quad[i]);
          const int8x16_t low = vreinterpretq_s8_u32(vzip1q_u32(a, b));
          const int8x16_t high = vreinterpretq_s8_u32(vzip2q_u32(a, b));
          sums[2 * i] = vmmlaq_s32(sums[2 * i], low, inputs);
          sums[2 * i + 1] = vmmlaq_s32(sums[2 * i + 1], high, inputs);
        });
      }
    }
    template <int kRow>
    LAMINA_INLINE I32 Total() const {
      return Each<I32>([&](int i) LAMINA_INLINE_LAMBDA {
        return kRow == 0 ? vuzp1q_s32(sums[2 * i], sums[2 * i + 1])
                         : vuzp2q_s32(sums[2 * i], sums[2 * i + 1]);
      });
    }
  };
};

}  // namespace
}  // namespace lamina::kernels

#include "kernels/generic/table.inl.h"
