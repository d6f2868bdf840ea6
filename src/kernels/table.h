// The dispatch table: every function that exists once per CPU, as one struct of pointers.
#pragma once

#include <stdint.h>

#include "kernels/kv_layout.h"

namespace lamina::kernels {

/// 32 inputs of one row, rounded to int8 with a common f32 scale: x[i] ~ scale * q[i]. One cache
/// line, so rows are independent of each other and threads never share one.
struct alignas(64) ActBlock {
  int8_t q[32];          ///< -127..127, rounded half to even.
  int32_t neg_sum16[2];  ///< -(sum of q[0..15]), -(sum of q[16..31]): types with a scale per 16.
  int32_t neg_sum;  ///< -(sum of q[0..31]): starts the integer sum of types stored with a bias.
  float scale;
  float scale_sum;  ///< scale * (sum of q): for types with a minimum.
  int32_t unused[3];
};

/// y[row, col] (+)= sum over k of W[col, k] * x[row, k] for the panels [panel_begin, panel_end) of
/// a packed matrix. The arithmetic of one output depends neither on n_rows nor on the panel range
/// nor on the CPU (integer sums exact; f32 by explicit FMA in order of k), so bits never change
/// with batch or threads.
struct MatmulArgs {
  const uint8_t* panels;  ///< The matrix's panel 0, 64-byte aligned.
  int64_t panel_bytes;    ///< Bytes from one panel to the next.
  int64_t n_cols;         ///< K: inputs per row. Integer types: a multiple of 32.
  int64_t panel_begin;
  int64_t panel_end;
  const ActBlock* x_int8;  ///< Integer types: [n_rows][x_stride] blocks.
  const float* x_f32;      ///< Float types: [n_rows][x_stride] values.
  int64_t x_stride;        ///< From one row to the next, in blocks or values.
  int64_t n_rows;
  float* y;          ///< [n_rows][y_stride]; written at 16 * panel .. 16 * panel + 15, also past N.
  int64_t y_stride;  ///< >= 16 * number of panels.
  bool accumulate;   ///< Add to y instead of overwriting it.
  uint8_t* scratch;  ///< ScratchBytes(n_cols), 64-byte aligned, of this thread alone.
};
using MatmulFn = void (*)(const MatmulArgs&) noexcept;

/// Attention of n_tokens consecutive rows of one sequence, all query heads that read one KV head:
/// out[t, g, :] = sum_p softmax_p(cap(scale * q[t, g] . K[p])) V[p], p in
/// [max(0, position + t + 1 - window), position + t + 1). Keys go in blocks of kAttentionBlock
/// absolute positions with a running maximum (arXiv:2205.14135), dimensions and positions in order
/// by FMA: the bits of a row depend neither on n_tokens, n_group nor page_tokens. Decode is
/// n_tokens = 1. K and V of all rows are stored before the call. With may_round a CPU that
/// multiplies bf16 rounds q, K, V and the softmax's weights, unless the cache is f32; the bits of a
/// row then differ from the others', but still depend on no shape.
struct AttentionArgs {
  const float* q;  ///< q + t * q_token_stride + g * q_stride -> d_head values.
  int64_t q_token_stride;
  int64_t q_stride;
  int64_t n_tokens;
  int n_group;  ///< Query heads that read this KV head, or some of them.
  int d_head;   ///< 1..512.
  int d_value;  ///< Width of V and out, likewise.
  KvType kv_type;
  int page_tokens;             ///< Positions per page, a multiple of 16.
  const void* const* k_pages;  ///< [page] -> this KV head's keys as in kv_layout.h; may be null
  const void* const* v_pages;  ///< where no row of the call sees any position of the page.
  int64_t position;            ///< Of row 0.
  int64_t window;              ///< Positions seen, the own included; 0 = all.
  float scale;                 ///< Multiplies q . k.
  float softcap;               ///< cap * tanh(score / cap) before the softmax; 0 = none.
  bool may_round;              ///< Of rows in steps of more than 16, which need not equal decode's.
  float* out;                  ///< out + t * out_token_stride + g * out_stride.
  int64_t out_token_stride;
  int64_t out_stride;
  void* scratch;  ///< AttentionScratchBytes(...), 64-byte aligned, of this thread alone.
};
using AttentionFn = void (*)(const AttentionArgs&) noexcept;

/// Positions that one round of the running softmax takes.
inline constexpr int kAttentionBlock = 128;

/// Scratch of one AttentionFn call.
static inline constexpr int64_t AttentionScratchBytes(int64_t n_tokens, int64_t n_group,
                                                      int64_t d_head, int64_t d_value) {
  const int64_t n_rows = (n_tokens * n_group + 7) / 8 * 8 + 16;
  const int64_t d = (d_head + 15) / 16 * 16, dv = (d_value + 15) / 16 * 16;
  return 4 * (n_rows * (d + dv + 2) + kAttentionBlock * (d + dv + 16)) + 256;
}

/// Causal depthwise convolution over tokens: out[t, c] = act(bias[c] + sum_j weight[j, c] *
/// x[t - kernel + 1 + j, c]), j in order by FMA; what lies before row 0 comes from the state.
/// Threads may split the channels by moving the pointers. out must not alias x.
struct ConvArgs {
  const float* x;  ///< [n_tokens][x_stride].
  int64_t x_stride;
  int64_t n_tokens;
  int64_t n_channels;
  int kernel;           ///< 2..8.
  const float* weight;  ///< [kernel][weight_stride], the newest input last.
  int64_t weight_stride;
  const float* bias;  ///< [n_channels], or null.
  float* state;       ///< [kernel - 1][state_stride], oldest first; updated.
  int64_t state_stride;
  bool silu;
  float* out;  ///< [n_tokens][out_stride].
  int64_t out_stride;
};
using ConvFn = void (*)(const ConvArgs&) noexcept;

/// Gated delta rule of one value head (arXiv:2412.06464) over n_tokens rows, with S the state:
/// S = decay S; d = beta (v - S^T k); S = S + k d^T; out = S^T q. q is scaled and q, k are
/// normalised by the caller. More than 31 rows go in chunks of matrix products, with other
/// rounding.
struct DeltaArgs {
  const float* q;  ///< [n_tokens][q_stride], d_k values each; k likewise.
  const float* k;
  const float* v;  ///< [n_tokens][v_stride], d_v values each.
  int64_t q_stride, k_stride, v_stride;
  const float* log_decay;  ///< [n_tokens * gate_stride]: decay = exp(log_decay), <= 0.
  const float* beta;       ///< [n_tokens * gate_stride].
  int64_t gate_stride;
  int64_t n_tokens;
  int d_k, d_v;  ///< 1..256.
  float* state;  ///< [d_k][d_v]; updated in place.
  float* out;    ///< [n_tokens][out_stride], d_v values each; may alias v.
  int64_t out_stride;
  void* scratch;  ///< DeltaScratchBytes(d_k, d_v), 64-byte aligned, of this thread alone.
};
using DeltaFn = void (*)(const DeltaArgs&) noexcept;

/// Tokens that the chunked form takes at once.
inline constexpr int kDeltaChunk = 64;

static inline constexpr int64_t DeltaScratchBytes(int64_t d_k, int64_t d_v) {
  return 4 * kDeltaChunk * (2 * d_k + d_v + 2 * kDeltaChunk);
}

/// Operations on f32 rows. n is any positive number; x and out may alias. Every CPU gives the same
/// bits: sums have one fixed order, exp and tanh are Lamina's own polynomials.
struct VectorKernels {
  /// x [n] -> out [ceil(n / 32)] blocks; a tail is padded with zeros. `residual`, if not null,
  /// gets x minus what out represents, [n] f32: the input of the next plane; it may alias x.
  void (*quantize_row)(const float* x, int64_t n, ActBlock* out, float* residual) noexcept;
  /// out[i] = x[i] * (1 / sqrt(mean(x^2) + eps)) * weight[i]; weight null = 1 (arXiv:1910.07467).
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept;
  /// out = x * (1 / sqrt(sum(x^2) + eps)).
  void (*l2_norm)(const float* x, float eps, int64_t n, float* out) noexcept;
  void (*add)(const float* a, const float* b, int64_t n, float* out) noexcept;
  void (*mul)(const float* a, const float* b, int64_t n, float* out) noexcept;
  void (*scale)(const float* x, float factor, int64_t n, float* out) noexcept;
  /// out = out + factor * x (FMA).
  void (*axpy)(float factor, const float* x, int64_t n, float* out) noexcept;
  /// out = silu(gate) * up, gelu(gate, tanh form) * up, sigmoid(gate) * x; up null = 1.
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out) noexcept;
  void (*gelu_mul)(const float* gate, const float* up, int64_t n, float* out) noexcept;
  void (*sigmoid_mul)(const float* gate, const float* x, int64_t n, float* out) noexcept;
  /// out = ln(1 + e^x).
  void (*softplus)(const float* x, int64_t n, float* out) noexcept;
  /// out = cap * tanh(x / cap).
  void (*softcap)(const float* x, float cap, int64_t n, float* out) noexcept;
  void (*softmax)(const float* x, int64_t n, float* out) noexcept;
  /// In place, one head: pairs (i, i + n_rot/2) or, if adjacent, (2i, 2i + 1); cos, sin [n_rot /
  /// 2].
  void (*rope)(float* x, const float* cos, const float* sin, int n_rot, bool adjacent) noexcept;
  /// One row of keys or values of one KV head into row `slot` of a page (kv_layout.h). Rows of one
  /// page may be written by different threads.
  void (*store_key)(const float* x, KvType type, int64_t n, void* page, int64_t slot) noexcept;
  void (*store_value)(const float* x, KvType type, int64_t n, void* page, int64_t slot) noexcept;
  /// Index of the first maximum.
  int64_t (*argmax)(const float* x, int64_t n) noexcept;
};

struct Table {
  const char* isa;         ///< "scalar", "avx2", "avxvnni", "avx512vnni", "avx512bf16",
                           ///< "neon", "neon_i8mm".
  const MatmulFn* matmul;  ///< [number of quant types], by quant::TypeIndex.
  VectorKernels vector;
  AttentionFn attention;
  ConvFn conv;
  DeltaFn delta;
};

}  // namespace lamina::kernels
