// Operations on f32 rows, once for every CPU. Contracts: kernels/table.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/kv_store.inl.h"
#include "kernels/generic/vector_math.inl.h"
#include "kernels/table.h"

namespace lamina::kernels {
namespace {

/// The first n (1..15) lanes from memory, zeros in the others.
template <class S>
inline typename S::F LoadPart(const float* p, int64_t n) {
  float lanes[16] = {};
  __builtin_memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
  return S::Load(lanes);
}
template <class S>
inline void StorePart(float* p, typename S::F x, int64_t n) {
  float lanes[16];
  S::Store(lanes, x);
  __builtin_memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
}

/// out[i] = op(a[i]), and op(a[i], b[i]).
template <class S, class Op>
inline void Map(const float* a, int64_t n, float* out, Op op) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) S::Store(out + i, op(S::Load(a + i)));
  if (i < n) StorePart<S>(out + i, op(LoadPart<S>(a + i, n - i)), n - i);
}
template <class S, class Op>
inline void Map(const float* a, const float* b, int64_t n, float* out, Op op) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) S::Store(out + i, op(S::Load(a + i), S::Load(b + i)));
  if (i < n) {
    StorePart<S>(out + i, op(LoadPart<S>(a + i, n - i), LoadPart<S>(b + i, n - i)), n - i);
  }
}
/// out[i] = op(a[i]) * b[i], b null = 1.
template <class S, class Op>
inline void MapGated(const float* a, const float* b, int64_t n, float* out, Op op) {
  if (b == nullptr) return Map<S>(a, n, out, op);
  Map<S>(a, b, n, out, [op](typename S::F x, typename S::F y) { return S::Mul(op(x), y); });
}

template <class S>
void Add(const float* a, const float* b, int64_t n, float* out) noexcept {
  Map<S>(a, b, n, out, [](auto x, auto y) { return S::Add(x, y); });
}
template <class S>
void Mul(const float* a, const float* b, int64_t n, float* out) noexcept {
  Map<S>(a, b, n, out, [](auto x, auto y) { return S::Mul(x, y); });
}
template <class S>
void Scale(const float* x, float factor, int64_t n, float* out) noexcept {
  const auto f = S::Set(factor);
  Map<S>(x, n, out, [f](auto v) { return S::Mul(v, f); });
}
template <class S>
void Axpy(float factor, const float* x, int64_t n, float* out) noexcept {
  const auto f = S::Set(factor);
  Map<S>(x, out, n, out, [f](auto v, auto y) { return S::Fma(f, v, y); });
}
template <class S>
void SiluMul(const float* gate, const float* up, int64_t n, float* out) noexcept {
  MapGated<S>(gate, up, n, out, [](auto x) { return Gate<S>(x, x); });
}
template <class S>
void GeluMul(const float* gate, const float* up, int64_t n, float* out) noexcept {
  MapGated<S>(gate, up, n, out, [](auto x) { return GeluTanh<S>(x); });
}
template <class S>
void SigmoidMul(const float* gate, const float* x, int64_t n, float* out) noexcept {
  MapGated<S>(gate, x, n, out, [](auto v) { return Sigmoid<S>(v); });
}
/// The logarithm is taken in double: there are few of these, and each is the exponent of a decay.
/// Beyond 20, x, as in the reference.
template <class S>
void SoftplusRow(const float* x, int64_t n, float* out) noexcept {
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t n_lanes = n - i < 16 ? n - i : 16;
    float lanes[16];
    S::Store(lanes, Exp<S>(n_lanes == 16 ? S::Load(x + i) : LoadPart<S>(x + i, n_lanes)));
    for (int64_t lane = 0; lane < n_lanes; ++lane) {
      const float value = x[i + lane];
      out[i + lane] = value > 20.0f ? value : static_cast<float>(Log1p(double{lanes[lane]}));
    }
  }
}
template <class S>
void Softcap(const float* x, float cap, int64_t n, float* out) noexcept {
  const auto c = S::Set(cap);
  Map<S>(x, n, out, [c](auto v) { return S::Mul(c, Tanh<S>(S::Div(v, c))); });
}

/// sum(x^2) in the order in which ATen's CPU sum (cascade_sum, 8 lanes) adds a contiguous row, for
/// rows of up to 8192: vector 4 i + j of 8 squares goes to partial sum j, rounds of 64 vectors are
/// added up apart, left-over vectors go to partial sum 0, and the lanes are added one by one after
/// the tail. Models whose logits amplify rounding agree with the reference only so.
template <class S>
inline float SumOfSquares(const float* x, int64_t n) {
  using F = typename S::F;
  // Partial sums 0 and 1 side by side, and 2 and 3.
  F round[2] = {S::Zero(), S::Zero()}, total[2] = {S::Zero(), S::Zero()};
  const int64_t n_rounds = n / 32;
  for (int64_t i = 0; i < n_rounds; ++i) {
    for (int j = 0; j < 2; ++j) {
      const F v = S::Load(x + 32 * i + 16 * j);
      round[j] = S::Add(round[j], S::Mul(v, v));
    }
    if (i % 16 == 15) {
      for (int j = 0; j < 2; ++j) {
        total[j] = S::Add(total[j], round[j]);
        round[j] = S::Zero();
      }
    }
  }
  float partial[4][8];
  for (int64_t i = 32 * n_rounds; i + 8 <= n; i += 8) {
    float lanes[16] = {};
    __builtin_memcpy(lanes, x + i, 8 * sizeof(float));
    const F v = S::Load(lanes);
    round[0] = S::Add(round[0], S::Mul(v, v));
  }
  for (int j = 0; j < 2; ++j) S::Store(partial[2 * j], S::Add(round[j], total[j]));
  float result = 0;
  for (int64_t i = n / 8 * 8; i < n; ++i) result += x[i] * x[i];
  for (int i = 0; i < 8; ++i) {
    result += ((partial[0][i] + partial[1][i]) + partial[2][i]) + partial[3][i];
  }
  return result;
}

template <class S>
void RmsNorm(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept {
  const float mean = SumOfSquares<S>(x, n) / static_cast<float>(n);
  const auto f = S::Set(1.0f / __builtin_sqrtf(mean + eps));
  if (weight == nullptr) return Map<S>(x, n, out, [f](auto v) { return S::Mul(v, f); });
  Map<S>(x, weight, n, out, [f](auto v, auto w) { return S::Mul(S::Mul(v, f), w); });
}
template <class S>
void L2Norm(const float* x, float eps, int64_t n, float* out) noexcept {
  Scale<S>(x, 1.0f / __builtin_sqrtf(SumOfSquares<S>(x, n) + eps), n, out);
}

/// The largest of n values; NaN only where there is nothing else.
template <class S>
inline float MaxOf(const float* x, int64_t n) {
  float result = x[0];
  int64_t i = 0;
  if (n >= 16) {
    auto max = S::Set(-__builtin_inff());
    for (; i + 16 <= n; i += 16) max = S::Max(S::Load(x + i), max);
    const float lanes = S::ReduceMax(max);
    result = result > lanes ? result : lanes;
  }
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

template <class S>
void Softmax(const float* x, int64_t n, float* out) noexcept {
  const auto max = S::Set(MaxOf<S>(x, n));
  auto sum = S::Zero();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const auto e = Exp<S>(S::Sub(S::Load(x + i), max));
    S::Store(out + i, e);
    sum = S::Add(sum, e);
  }
  if (i < n) {
    StorePart<S>(out + i, Exp<S>(S::Sub(LoadPart<S>(x + i, n - i), max)), n - i);
    sum = S::Add(sum, LoadPart<S>(out + i, n - i));
  }
  const auto total = S::Set(S::ReduceAdd(sum));
  Map<S>(out, n, out, [total](auto e) { return S::Div(e, total); });
}

template <class S>
int64_t Argmax(const float* x, int64_t n) noexcept {
  // The maximum of each chunk is cheap; only the winner's chunk is searched for the position.
  constexpr int64_t kChunk = 1024;
  float best = -__builtin_inff();
  int64_t best_chunk = 0;
  for (int64_t i = 0; i < n; i += kChunk) {
    const float max = MaxOf<S>(x + i, n - i < kChunk ? n - i : kChunk);
    if (max > best) {
      best = max;
      best_chunk = i;
    }
  }
  const int64_t end = best_chunk + kChunk < n ? best_chunk + kChunk : n;
  for (int64_t i = best_chunk; i < end; ++i) {
    if (x[i] == best) return i;
  }
  return 0;
}

/// Rotates the pairs (a[i], b[i]) by the angle of (cos[i], sin[i]).
template <class S>
void Rope(float* x, const float* cos, const float* sin, int n_rot, bool adjacent) noexcept {
  const int half = n_rot / 2;
  if (adjacent) {
    for (int i = 0; i < half; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = a * cos[i] - b * sin[i];
      x[2 * i + 1] = b * cos[i] + a * sin[i];
    }
    return;
  }
  const auto rotate = [](auto& a, auto& b, auto c, auto s) {
    const auto rotated = S::Sub(S::Mul(a, c), S::Mul(b, s));
    b = S::Add(S::Mul(b, c), S::Mul(a, s));
    a = rotated;
  };
  int i = 0;
  for (; i + 16 <= half; i += 16) {
    auto a = S::Load(x + i), b = S::Load(x + half + i);
    rotate(a, b, S::Load(cos + i), S::Load(sin + i));
    S::Store(x + i, a);
    S::Store(x + half + i, b);
  }
  if (i < half) {
    auto a = LoadPart<S>(x + i, half - i), b = LoadPart<S>(x + half + i, half - i);
    rotate(a, b, LoadPart<S>(cos + i, half - i), LoadPart<S>(sin + i, half - i));
    StorePart<S>(x + i, a, half - i);
    StorePart<S>(x + half + i, b, half - i);
  }
}

/// Below this the inverse of a scale would overflow: such a block is zero.
constexpr float kSmallestMax = 1e-30f;

template <class S>
void QuantizeRow(const float* x, int64_t n, ActBlock* out, float* residual) noexcept {
  for (int64_t i = 0; i < n; i += 32, ++out) {
    const bool whole = n - i >= 32;
    float padded[32] = {};
    if (!whole) __builtin_memcpy(padded, x + i, static_cast<size_t>(n - i) * sizeof(float));
    const float* values = whole ? x + i : padded;
    const auto a = S::Load(values), b = S::Load(values + 16);
    const float max = S::ReduceMax(S::Max(S::Abs(a), S::Abs(b)));
    const float scale = max * (1.0f / 127.0f);
    const auto inverse = S::Set(max > kSmallestMax ? 127.0f / max : 0.0f);
    const auto qa = S::ToInt(S::Mul(a, inverse)), qb = S::ToInt(S::Mul(b, inverse));
    int32_t sum_a, sum_b;
    S::StoreInt8x32(out->q, qa, qb, &sum_a, &sum_b);
    out->neg_sum16[0] = -sum_a;
    out->neg_sum16[1] = -sum_b;
    out->neg_sum = -(sum_a + sum_b);
    out->scale = scale;
    out->scale_sum = scale * static_cast<float>(sum_a + sum_b);
    out->unused[0] = out->unused[1] = out->unused[2] = 0;
    if (residual == nullptr) continue;
    const auto d = S::Set(scale);
    S::Store(padded, S::Fnma(d, S::ToFloat(qa), a));
    S::Store(padded + 16, S::Fnma(d, S::ToFloat(qb), b));
    __builtin_memcpy(residual + i, padded, static_cast<size_t>(whole ? 32 : n - i) * sizeof(float));
  }
}

template <class S>
constexpr VectorKernels MakeVectorKernels() {
  return {QuantizeRow<S>, RmsNorm<S>, L2Norm<S>,   Add<S>,        Mul<S>,         Scale<S>,
          Axpy<S>,        SiluMul<S>, GeluMul<S>,  SigmoidMul<S>, SoftplusRow<S>, Softcap<S>,
          Softmax<S>,     Rope<S>,    StoreKey<S>, StoreValue<S>, Argmax<S>};
}

}  // namespace
}  // namespace lamina::kernels
