// The gated delta rule over chunks of tokens, as matrix products (arXiv:2412.06464, section 3).
//
// With G[t] the sum of log decays up to t, S the state before the chunk and d[t] the corrections,
//     S_t  = e^G[t] S + sum over s <= t of e^(G[t] - G[s]) k[s] d[s]^T
// so the corrections solve a triangular system and everything else is a product:
//     A[t, s] = beta[t] e^(G[t] - G[s]) k[t].k[s]  (s < t)        B[t, s] = e^(G[t] - G[s])
//     q[t].k[s] (1 + A) d = beta (V - e^G K S)          out = e^G Q S + B d          S' = e^G[c] S
//     + K'^T d
// Every exponent is at most 0. Differences of G are taken in double: over a chunk G grows far
// beyond the decays that matter.
#pragma once

#include "kernels/generic/recurrent.inl.h"

namespace lamina::kernels {
namespace {

/// Narrower heads go token by token: their state fits the first cache and the recurrence takes
/// fewer operations, with less rounding.
constexpr int kMinChunkedWidth = 64;

/// Steps of up to so many tokens go one by one: speculation and batching (1 to 16 rows) must not
/// change bits, and short chunks gain nothing.
constexpr int64_t kMaxRecurrentTokens = 31;

/// c[r][16 p..] = factor[r] c + sum over k of a[r, k] b[k][16 p..], k in order by FMA; factor null
/// = 0. a[r, k] is at a + r * a_row + k * a_k.
struct ProductArgs {
  const float* a;
  int64_t a_row, a_k;
  const float* b;
  int64_t b_k;
  int n_k;
  const float* factor;
  float* c;
  int64_t c_row;
};

template <class S, int R, int P>
[[gnu::noinline]] void ProductTile(const ProductArgs& m, int64_t row, int64_t column) {
  typename S::F sum[R][P];
  const float* a = m.a + row * m.a_row;
  const float* b = m.b + column;
  float* c = m.c + row * m.c_row + column;
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      sum[r][p] = m.factor == nullptr
                      ? S::Zero()
                      : S::Mul(S::Load(c + r * m.c_row + 16 * p), S::Set(m.factor[row + r]));
    }
  }
  for (int k = 0; k < m.n_k; ++k, a += m.a_k, b += m.b_k) {
    typename S::F value[P];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) value[p] = S::Load(b + 16 * p);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const auto weight = S::Set(a[r * m.a_row]);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) sum[r][p] = S::Fma(weight, value[p], sum[r][p]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) S::Store(c + r * m.c_row + 16 * p, sum[r][p]);
  }
}

/// n_rows <= R rows from `row` on, n_columns (a multiple of 16) columns.
template <class S, int R>
void ProductRows(const ProductArgs& m, int64_t row, int64_t n_rows, int64_t n_columns) {
  if (n_rows < R) {
    if constexpr (R > 1) ProductRows<S, R - 1>(m, row, n_rows, n_columns);
    return;
  }
  constexpr int kMany = S::kAccumulators / R < 1   ? 1
                        : S::kAccumulators / R > 4 ? 4
                                                   : S::kAccumulators / R;
  int64_t column = 0;
  for (; column + 16 * kMany <= n_columns; column += 16 * kMany) {
    ProductTile<S, R, kMany>(m, row, column);
  }
  if constexpr (kMany > 1) {
    for (; column < n_columns; column += 16) ProductTile<S, R, 1>(m, row, column);
  }
}

template <class S>
void Product(const ProductArgs& m, int64_t n_rows, int64_t n_columns) {
  for (int64_t row = 0; row < n_rows; row += S::kTileRows) {
    const int64_t left = n_rows - row;
    ProductRows<S, S::kTileRows>(m, row, left < S::kTileRows ? left : S::kTileRows, n_columns);
  }
}

/// scores[t][s] *= row_factor[t] * e^(G[t] - G[s]) below the diagonal (and on it, if `diagonal`),
/// zero elsewhere.
template <class S>
void Decay(const double* log_decay, const float* row_factor, int64_t n, bool diagonal,
           float* scores) {
  for (int64_t t = 0; t < n; ++t) {
    float* row = scores + t * kDeltaChunk;
    const int64_t end = diagonal ? t + 1 : t;
    float exponents[kDeltaChunk];
    for (int64_t s = 0; s < kDeltaChunk; ++s) {
      exponents[s] = s < end ? static_cast<float>(log_decay[t] - log_decay[s]) : -1e30f;
    }
    const auto factor = S::Set(row_factor == nullptr ? 1.0f : row_factor[t]);
    for (int64_t s = 0; s < kDeltaChunk; s += 16) {
      const auto decayed = S::Mul(S::Load(row + s), Exp<S>(S::Load(exponents + s)));
      S::Store(row + s, S::Mul(decayed, factor));
    }
  }
}

/// One chunk of n tokens from the first row of `a`.
template <class S>
void DeltaChunk(const DeltaArgs& a, int64_t n) {
  const int64_t d_k = a.d_k, d_v = a.d_v;
  auto* keys_transposed = static_cast<float*>(a.scratch);        // [d_k][kDeltaChunk]
  float* scaled_keys = keys_transposed + d_k * kDeltaChunk;      // [kDeltaChunk][d_k]
  float* corrections = scaled_keys + d_k * kDeltaChunk;          // [kDeltaChunk][d_v]: d
  float* key_scores = corrections + d_v * kDeltaChunk;           // [kDeltaChunk][kDeltaChunk]: -A
  float* query_scores = key_scores + kDeltaChunk * kDeltaChunk;  // likewise: B

  double log_decay[kDeltaChunk];
  float decay[kDeltaChunk], minus_beta[kDeltaChunk], ones[kDeltaChunk];
  double sum = 0;
  for (int64_t t = 0; t < n; ++t) {
    sum += static_cast<double>(a.log_decay[t * a.gate_stride]);
    log_decay[t] = sum;
    decay[t] = ExpOf<S>(static_cast<float>(sum));
    minus_beta[t] = -a.beta[t * a.gate_stride];
    ones[t] = 1.0f;
  }
  for (int64_t t = 0; t < kDeltaChunk; ++t) {
    for (int64_t i = 0; i < d_k; ++i) {
      keys_transposed[i * kDeltaChunk + t] = t < n ? a.k[t * a.k_stride + i] : 0.0f;
    }
  }

  const int n_k = a.d_k;
  Product<S>(
      {a.k, a.k_stride, 1, keys_transposed, kDeltaChunk, n_k, nullptr, key_scores, kDeltaChunk}, n,
      kDeltaChunk);
  Decay<S>(log_decay, minus_beta, n, false, key_scores);
  Product<S>(
      {a.q, a.q_stride, 1, keys_transposed, kDeltaChunk, n_k, nullptr, query_scores, kDeltaChunk},
      n, kDeltaChunk);
  Decay<S>(log_decay, nullptr, n, true, query_scores);

  Product<S>({a.k, a.k_stride, 1, a.state, d_v, n_k, nullptr, corrections, d_v}, n, d_v);
  for (int64_t t = 0; t < n; ++t) {
    const auto minus_decay = S::Set(-decay[t]), beta = S::Set(-minus_beta[t]);
    Map<S>(corrections + t * d_v, a.v + t * a.v_stride, d_v, corrections + t * d_v,
           [=](auto memory, auto v) { return S::Mul(beta, S::Fma(minus_decay, memory, v)); });
  }
  for (int64_t row = 0; row < n; row += S::kTileRows) {
    const int64_t rows = n - row < S::kTileRows ? n - row : S::kTileRows;
    ProductRows<S, S::kTileRows>({key_scores, kDeltaChunk, 1, corrections, d_v,
                                  static_cast<int>(row), ones, corrections, d_v},
                                 row, rows, d_v);
    for (int64_t t = row; t < row + rows; ++t) {
      for (int64_t s = row; s < t; ++s) {
        Axpy<S>(key_scores[t * kDeltaChunk + s], corrections + s * d_v, d_v, corrections + t * d_v);
      }
    }
  }

  Product<S>({a.q, a.q_stride, 1, a.state, d_v, n_k, nullptr, a.out, a.out_stride}, n, d_v);
  for (int64_t row = 0; row < n; row += S::kTileRows) {
    const int64_t rows = n - row < S::kTileRows ? n - row : S::kTileRows;
    // Columns past the tile's last token hold zeros: they are left out.
    ProductRows<S, S::kTileRows>({query_scores, kDeltaChunk, 1, corrections, d_v,
                                  static_cast<int>(row + rows), decay, a.out, a.out_stride},
                                 row, rows, d_v);
  }

  for (int64_t t = 0; t < n; ++t) {
    Scale<S>(a.k + t * a.k_stride, ExpOf<S>(static_cast<float>(log_decay[n - 1] - log_decay[t])),
             d_k, scaled_keys + t * d_k);
  }
  float whole_decay[256];
  for (int64_t i = 0; i < d_k; ++i) whole_decay[i] = decay[n - 1];
  Product<S>(
      {scaled_keys, 1, d_k, corrections, d_v, static_cast<int>(n), whole_decay, a.state, d_v}, d_k,
      d_v);
}

template <class S>
void Delta(const DeltaArgs& args) noexcept {
  DeltaArgs a = args;
  const bool in_chunks = a.d_k >= kMinChunkedWidth && a.d_v % 16 == 0;
  while (a.n_tokens > 0) {
    int64_t n = a.n_tokens < kDeltaChunk ? a.n_tokens : kDeltaChunk;
    if (in_chunks && a.n_tokens > kMaxRecurrentTokens) {
      DeltaChunk<S>(a, n);
    } else {
      DeltaArgs one_by_one = a;
      one_by_one.n_tokens = n;
      DeltaRecurrent<S>(one_by_one);
    }
    a.q += n * a.q_stride;
    a.k += n * a.k_stride;
    a.v += n * a.v_stride;
    a.out += n * a.out_stride;
    a.log_decay += n * a.gate_stride;
    a.beta += n * a.gate_stride;
    a.n_tokens -= n;
  }
}

}  // namespace
}  // namespace lamina::kernels
