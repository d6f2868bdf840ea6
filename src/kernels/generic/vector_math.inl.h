// exp, tanh and their relatives on 16 lanes. The polynomials are minimax fits made for Lamina; all
// arithmetic is Mul, Add and explicit Fma, so every CPU gives the same bits.
#pragma once

#include <stdint.h>

namespace lamina::kernels {
namespace {

/// e^x with a relative error below 1e-7 on [-87.3, 88]; 0 below, e^88 above, NaN stays. Its shape
/// (how ln 2 is split, what is rounded in which order) is that of the vector libraries that
/// reference implementations call, so that nearly all results have their bits: gates of recurrent
/// layers can turn one of them into a visible difference of logits.
template <class S>
inline typename S::F Exp(typename S::F x) {
  using F = typename S::F;
  const F lowest = S::Set(-87.3f);
  const F clamped = S::Max(lowest, S::Min(S::Set(88.0f), x));
  const auto n = S::ToInt(S::Mul(clamped, S::Set(1.44269504f)));
  const F n_float = S::ToFloat(n);
  // ln 2 in two parts: n times the first is exact, so r = x - n ln 2 keeps all its digits.
  F r = S::Fnma(n_float, S::Set(0.693145751953125f), clamped);
  r = S::Fnma(n_float, S::Set(1.428606765e-6f), r);
  // Taylor's series of (e^r - 1 - r) / r^2: |r| <= ln 2 / 2, what is left out is below 1e-8.
  F p = S::Set(1.0f / 5040);
  p = S::Fma(p, r, S::Set(1.0f / 720));
  p = S::Fma(p, r, S::Set(1.0f / 120));
  p = S::Fma(p, r, S::Set(1.0f / 24));
  p = S::Fma(p, r, S::Set(1.0f / 6));
  p = S::Fma(p, r, S::Set(0.5f));
  // 1 comes last: all before it is small, so that one rounding counts.
  p = S::Add(S::Fma(S::Mul(r, r), p, r), S::Set(1.0f));
  return S::SelectLess(x, lowest, S::Zero(), S::Mul(p, S::Pow2(n)));
}

/// x / (1 + e^-y): silu for y = x, gelu for y = 2 u.
template <class S>
inline typename S::F Gate(typename S::F x, typename S::F y) {
  return S::Div(x, S::Add(S::Set(1.0f), Exp<S>(S::Sub(S::Zero(), y))));
}

template <class S>
inline typename S::F Sigmoid(typename S::F x) {
  return Gate<S>(S::Set(1.0f), x);
}

/// x * Phi(x) in the tanh form (arXiv:1606.08415): 1 + tanh(u) is 2 / (1 + e^-2u), without the
/// cancellation for negative u.
template <class S>
inline typename S::F GeluTanh(typename S::F x) {
  const auto cubic = S::Mul(S::Mul(x, x), x);
  const auto inner = S::Fma(S::Set(0.044715f), cubic, x);
  return Gate<S>(x, S::Mul(S::Set(1.5957691216f), inner));  // 2 sqrt(2 / pi)
}

/// tanh with a relative error below 3e-7: an odd polynomial near 0, where 1 - 2 / (e^2x + 1) would
/// cancel.
template <class S>
inline typename S::F Tanh(typename S::F x) {
  using F = typename S::F;
  const F magnitude = S::Abs(x);
  const F square = S::Mul(x, x);
  F p = S::Set(-0.006104948f);
  p = S::Fma(p, square, S::Set(0.021003641f));
  p = S::Fma(p, square, S::Set(-0.0538525f));
  p = S::Fma(p, square, S::Set(0.13332783f));
  p = S::Fma(p, square, S::Set(-0.33333328f));
  const F small = S::Fma(S::Mul(x, square), p, x);
  const F one = S::Set(1.0f);
  const F e = Exp<S>(S::Add(magnitude, magnitude));
  const F large = S::Sub(one, S::Div(S::Set(2.0f), S::Add(e, one)));
  const F signed_large = S::SelectLess(x, S::Zero(), S::Sub(S::Zero(), large), large);
  return S::SelectLess(magnitude, S::Set(0.625f), small, signed_large);
}

/// ln(1 + t) for t in [0, 1e10] in double, relative error below 1e-13: artanh's series of
/// s = (m - 1) / (m + 1), m = (1 + t) / 2^exponent near 1. NaN stays.
inline double Log1p(double t) {
  if (!(t <= 1e10)) return t;
  double s = t / (2 + t), exponent = 0;
  if (t > 0.41421356) {
    double m = 1 + t;
    uint64_t bits;
    __builtin_memcpy(&bits, &m, 8);
    exponent = static_cast<double>(static_cast<int>(bits >> 52) - 1023);
    bits = (bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000;
    __builtin_memcpy(&m, &bits, 8);
    if (m > 1.41421356) {
      m *= 0.5;
      exponent += 1;
    }
    s = (m - 1) / (m + 1);
  }
  const double square = s * s;
  double series = 0;
  for (int k = 9; k >= 0; --k) series = series * square + 1.0 / (2 * k + 1);
  return 2 * s * series + exponent * 0.69314718055994530942;
}

}  // namespace
}  // namespace lamina::kernels
