// The dispatch table: every function that exists once per CPU, as one struct of pointers.
#pragma once

#include <stdint.h>

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

/// Decode attention of query heads that share one KV head, over pages of keys and values.
/// Scores are two-pass softmaxed in f32: out[g, :] = sum_p softmax(scale * q[g] . K[p])_p V[p].
enum class KvType : int { kF32 = 0, kF16 = 1, kBf16 = 2, kQ8_0 = 3 };
struct AttentionArgs {
  const float* q;  ///< [n_group][q_stride] f32, d_head each.
  int64_t q_stride;
  int n_group;  ///< Query heads that read this KV head.
  int d_head;   ///< 16..512, a multiple of 8.
  int d_value;  ///< Width of V and out, usually d_head.
  KvType kv_type;
  /// Page i holds positions [i * page_tokens, (i + 1) * page_tokens): k_pages[i] -> [page_tokens]
  /// [d_head] of this KV head, v_pages[i] -> [page_tokens][d_value]; pages outside the window are
  /// null.
  const void* const* k_pages;
  const void* const* v_pages;
  int page_tokens;    ///< A multiple of 16.
  int64_t begin;      ///< First position that the query sees (sliding windows).
  int64_t end;        ///< One past the last.
  float scale;        ///< Multiplies q . k.
  float softcap;      ///< cap * tanh(score / cap) before the softmax; 0 = none.
  const float* sink;  ///< Reserved for attention sinks: null.
  float* scores;      ///< Scratch [n_group][end - begin + 16].
  float* out;         ///< [n_group][out_stride].
  int64_t out_stride;
};
using AttentionFn = void (*)(const AttentionArgs&) noexcept;

/// Operations on f32 rows. n is any positive number; x and out may alias.
struct VectorKernels {
  /// x [n] -> out [ceil(n / 32)] blocks; a tail is padded with zeros. `residual`, if not null,
  /// gets x minus what out represents, [n] f32: the input of the next plane.
  void (*quantize_row)(const float* x, int64_t n, ActBlock* out, float* residual) noexcept;
  /// out[i] = x[i] * rsqrt(mean(x^2) + eps) * weight[i]; weight null = 1 (arXiv:1910.07467).
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out) noexcept;
  void (*add)(const float* a, const float* b, int64_t n, float* out) noexcept;
  void (*mul)(const float* a, const float* b, int64_t n, float* out) noexcept;
  void (*scale)(const float* x, float factor, int64_t n, float* out) noexcept;
  /// out = silu(gate) * up, and gelu(gate, tanh form) * up.
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out) noexcept;
  void (*gelu_mul)(const float* gate, const float* up, int64_t n, float* out) noexcept;
  void (*softcap)(const float* x, float cap, int64_t n, float* out) noexcept;
  /// In place, one head: pairs (i, i + n_rot/2) or, if adjacent, (2i, 2i + 1); cos, sin [n_rot /
  /// 2].
  void (*rope)(float* x, const float* cos, const float* sin, int n_rot, bool adjacent) noexcept;
  /// f32 -> the cache's element type, one row of one KV head.
  void (*store_kv)(const float* x, KvType type, int64_t n, void* out) noexcept;
  /// Index of the first maximum.
  int64_t (*argmax)(const float* x, int64_t n) noexcept;
};

struct Table {
  const char* isa;         ///< "scalar", "avx2", "avxvnni", "avx512vnni", "neon".
  const MatmulFn* matmul;  ///< [number of quant types], by quant::TypeIndex.
  VectorKernels vector;
  AttentionFn attention;
};

}  // namespace lamina::kernels
