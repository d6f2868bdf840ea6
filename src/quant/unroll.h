// Loops that are unrolled by construction, for code whose index must be a constant expression.
// Layout headers and kernel units include nothing but <std*.h>, so the standard library's
// index_sequence is out of reach.
#pragma once

#define LAMINA_INLINE inline __attribute__((always_inline))
/// Follows the parameters of a lambda.
#define LAMINA_INLINE_LAMBDA __attribute__((always_inline))

namespace lamina::quant {

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
  constexpr operator int() const { return kValue; }  // NOLINT(google-explicit-constructor)
};

/// f(Constant<kBegin>), ..., f(Constant<kEnd - 1>).
template <int kBegin, int kEnd, class F>
LAMINA_INLINE void Unroll(F&& f) {
  if constexpr (kBegin < kEnd) {
    f(Constant<kBegin>{});
    Unroll<kBegin + 1, kEnd>(f);
  }
}

}  // namespace lamina::quant
