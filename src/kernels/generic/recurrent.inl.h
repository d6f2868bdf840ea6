// What recurrent layers need besides products: the short causal convolution and the gated delta
// rule, token by token. Contracts: ConvArgs and DeltaArgs in kernels/table.h.
#pragma once

#include "kernels/generic/vector.inl.h"

namespace lamina::kernels {
namespace {

/// 16 channels, or the last n of them, of all tokens.
template <class S>
inline void ConvChannels(const ConvArgs& a, int64_t channel, int64_t n) {
  const auto load = [n](const float* p) { return n == 16 ? S::Load(p) : LoadPart<S>(p, n); };
  const auto store = [n](float* p, typename S::F x) {
    if (n == 16) return S::Store(p, x);
    StorePart<S>(p, x, n);
  };
  const int64_t n_state = a.kernel - 1;
  // Row i of what the convolution sees: the state, then the inputs.
  const auto input = [&](int64_t i) {
    return load(i < n_state ? a.state + i * a.state_stride + channel
                            : a.x + (i - n_state) * a.x_stride + channel);
  };
  const auto bias = a.bias != nullptr ? load(a.bias + channel) : S::Zero();
  for (int64_t t = 0; t < a.n_tokens; ++t) {
    auto sum = bias;
    for (int j = 0; j < a.kernel; ++j) {
      sum = S::Fma(load(a.weight + j * a.weight_stride + channel), input(t + j), sum);
    }
    store(a.out + t * a.out_stride + channel, a.silu ? Gate<S>(sum, sum) : sum);
  }
  for (int64_t i = 0; i < n_state; ++i) {
    store(a.state + i * a.state_stride + channel, input(a.n_tokens + i));
  }
}

template <class S>
void Conv(const ConvArgs& a) noexcept {
  for (int64_t channel = 0; channel < a.n_channels; channel += 16) {
    const int64_t left = a.n_channels - channel;
    ConvChannels<S>(a, channel, left < 16 ? left : 16);
  }
}

/// e^x of one value, the bits of Exp.
template <class S>
inline float ExpOf(float x) {
  float lanes[16];
  S::Store(lanes, Exp<S>(S::Set(x)));
  return lanes[0];
}

/// One token for C groups of 16 columns of the state, or for n < 16 of them. The state is read
/// twice: the first pass needs the whole of S^T k, the second decays again, writes, and sums S^T q.
template <class S, int C, bool kPart>
inline void DeltaColumns(const float* q, const float* k, const float* v, float decay, float beta,
                         int d_k, int64_t d_v, int64_t n, float* state, float* out) {
  using F = typename S::F;
  const auto load = [n](const float* p) { return kPart ? LoadPart<S>(p, n) : S::Load(p); };
  const auto store = [n](float* p, F x) {
    if (!kPart) return S::Store(p, x);
    StorePart<S>(p, x, n);
  };
  const F g = S::Set(decay);
  F sum[C];
  for (int c = 0; c < C; ++c) sum[c] = S::Zero();
  for (int i = 0; i < d_k; ++i) {
    const F key = S::Set(k[i]);
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      sum[c] = S::Fma(key, S::Mul(load(state + i * d_v + 16 * c), g), sum[c]);
    }
  }
  F delta[C];
  for (int c = 0; c < C; ++c) {
    delta[c] = S::Mul(S::Sub(load(v + 16 * c), sum[c]), S::Set(beta));
    sum[c] = S::Zero();
  }
  for (int i = 0; i < d_k; ++i) {
    const F key = S::Set(k[i]), query = S::Set(q[i]);
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      float* cell = state + i * d_v + 16 * c;
      const F updated = S::Fma(key, delta[c], S::Mul(load(cell), g));
      store(cell, updated);
      sum[c] = S::Fma(query, updated, sum[c]);
    }
  }
  for (int c = 0; c < C; ++c) store(out + 16 * c, sum[c]);
}

template <class S>
void DeltaRecurrent(const DeltaArgs& a) noexcept {
  for (int64_t t = 0; t < a.n_tokens; ++t) {
    const float* q = a.q + t * a.q_stride;
    const float* k = a.k + t * a.k_stride;
    const float* v = a.v + t * a.v_stride;
    float* out = a.out + t * a.out_stride;
    const float decay = ExpOf<S>(a.log_decay[t * a.gate_stride]);
    const float beta = a.beta[t * a.gate_stride];
    int column = 0;
    for (; column + 32 <= a.d_v; column += 32) {
      DeltaColumns<S, 2, false>(q, k, v + column, decay, beta, a.d_k, a.d_v, a.d_v - column,
                                a.state + column, out + column);
    }
    for (; column + 16 <= a.d_v; column += 16) {
      DeltaColumns<S, 1, false>(q, k, v + column, decay, beta, a.d_k, a.d_v, a.d_v - column,
                                a.state + column, out + column);
    }
    if (column < a.d_v) {
      DeltaColumns<S, 1, true>(q, k, v + column, decay, beta, a.d_k, a.d_v, a.d_v - column,
                               a.state + column, out + column);
    }
  }
}

}  // namespace
}  // namespace lamina::kernels
