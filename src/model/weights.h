// Which tensors a model consists of: a family fills a TensorPlan, the loader packs what it names.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "format/model_source.h"

namespace lamina::model {

/// Matrices of one layer. Products are y = W x with W [n_rows, n_cols] (outputs, inputs).
enum class MatrixRole : int {
  kQuery,       ///< [n_heads * d_head, d_model]
  kQueryGate,   ///< [n_heads * d_value, d_model]: attention output *= sigmoid(gate) (Qwen 3.5).
  kKey,         ///< [n_kv_heads * d_head, d_model]
  kValue,       ///< [n_kv_heads * d_value, d_model]; where values are keys, the key's tensor again.
  kOutput,      ///< [d_model, n_heads * d_value]
  kGate,        ///< [d_ff, d_model]
  kUp,          ///< [d_ff, d_model]
  kDown,        ///< [d_model, d_ff]
  kRouter,      ///< [n_experts, d_model]
  kDeltaQkv,    ///< Gated delta-net: [2 * n_k_heads * d_k_head + n_v_heads * d_v_head, d_model]
  kDeltaGate,   ///< z: [n_v_heads * d_v_head, d_model]
  kDeltaAlpha,  ///< [n_v_heads, d_model]
  kDeltaBeta,   ///< [n_v_heads, d_model]
  kDeltaOut,    ///< [d_model, n_v_heads * d_v_head]
  kConvIn,      ///< Short convolution: [3 * d_model, d_model]: B, C, x.
  kConvOut,     ///< [d_model, d_model]
  kPerLayerGate,       ///< Gemma 4: [d_per_layer_input, d_model]
  kPerLayerProjection  ///< Gemma 4: [d_model, d_per_layer_input]
};
inline constexpr int kNumMatrixRoles = 18;

/// Vectors of one layer, held as f32.
enum class VectorRole : int {
  kMixerNorm,      ///< Before attention or its replacement: [d_model]
  kPostMixerNorm,  ///< After it, before the residual sum: [d_model]
  kFfnNorm,
  kPostFfnNorm,
  kQueryBias,
  kKeyBias,
  kValueBias,
  kOutputBias,
  kQueryNorm,         ///< Per head, before the rotation: [d_head]
  kKeyNorm,           ///< [d_head]
  kDeltaConv,         ///< [conv_kernel, n_channels], the newest input's tap last.
  kDeltaA,            ///< -exp(A_log): [n_v_heads]
  kDeltaDt,           ///< [n_v_heads]
  kDeltaNorm,         ///< [d_v_head]
  kConvKernel,        ///< [conv_kernel, d_model], likewise.
  kConvInBias,        ///< Of kConvIn's outputs: [3 * d_model]
  kConvBias,          ///< Of the convolution: [d_model]
  kPostPerLayerNorm,  ///< Gemma 4: [d_model]
  kLayerScale         ///< Gemma 4: [1], multiplies the layer's output.
};
inline constexpr int kNumVectorRoles = 19;

/// A matrix as rows of a tensor of the file. Row r is the tensor's row row_begin + r, or, where
/// row_order is filled, row_order[r] (so a fused, interleaved or permuted tensor costs nothing). A
/// tensor's cols are its last dimension, its rows the product of the others (experts stacked in one
/// tensor are ranges of rows). tensor null = this layer has no such matrix.
struct MatrixPlan {
  const format::Tensor* tensor = nullptr;
  int64_t row_begin = 0;
  int64_t n_rows = 0;
  std::vector<int32_t> row_order;
  /// Column order, or empty: column c of the matrix is the tensor's column col_order[c]. Only for
  /// float types.
  std::vector<int32_t> col_order;
};

/// Inputs of a matrix: a tensor's last dimension.
inline int64_t ColsOf(const format::Tensor& tensor) {
  return tensor.shape.empty() ? 1 : tensor.shape.back();
}

/// Bytes of one row of blocks, as in the file.
inline int64_t RowBytesOf(const format::Tensor& tensor) {
  return ColsOf(tensor) / tensor.type->block_values * tensor.type->block_bytes;
}

/// A vector as values of a tensor, any type, dequantized in row-major order.
struct VectorPlan {
  enum class Transform {
    kNone,
    kPlusOne,     ///< 1 + x: norms that Hugging Face stores minus one (Gemma 2, 3; Qwen 3.5).
    kNegativeExp  ///< -exp(x): A_log.
  };
  const format::Tensor* tensor = nullptr;
  Transform transform = Transform::kNone;
  int64_t begin = 0;           ///< First value used.
  int64_t n_values = 0;        ///< 0 = all.
  std::vector<int32_t> order;  ///< Value i is the tensor's begin + order[i]; empty = i.
};

/// One layer's tensors. Experts: [n_experts] of each, else empty.
struct LayerPlan {
  std::array<MatrixPlan, kNumMatrixRoles> matrices;
  std::array<VectorPlan, kNumVectorRoles> vectors;
  std::vector<MatrixPlan> expert_gate, expert_up, expert_down;

  MatrixPlan& operator[](MatrixRole role) { return matrices[static_cast<int>(role)]; }
  VectorPlan& operator[](VectorRole role) { return vectors[static_cast<int>(role)]; }
  const MatrixPlan& operator[](MatrixRole role) const { return matrices[static_cast<int>(role)]; }
  const VectorPlan& operator[](VectorRole role) const { return vectors[static_cast<int>(role)]; }
};

/// All tensors of a model. Pointers are into the ModelSource, which must outlive the plan. The
/// loader checks every shape against the ModelSpec, so a family need not.
struct TensorPlan {
  MatrixPlan embedding;  ///< [n_vocab, d_model]
  MatrixPlan head;       ///< [n_vocab, d_model]; no tensor = tied to the embedding.
  VectorPlan output_norm;
  MatrixPlan per_layer_embedding;   ///< Gemma 4: [n_vocab, n_layers * d_per_layer_input]
  MatrixPlan per_layer_projection;  ///< [n_layers * d_per_layer_input, d_model]
  VectorPlan per_layer_norm;        ///< [d_per_layer_input]
  std::vector<LayerPlan> layers;
};

}  // namespace lamina::model
