// Shapes of a plan's tensors against the spec, so that nothing behind this needs to check again.
#include <algorithm>
#include <string>

#include "model/loaded.h"

namespace lamina::model {
namespace {

struct Shape {
  int64_t n_rows;
  int64_t n_cols;
};

std::string ShapeText(const format::Tensor& tensor) {
  std::string text = "[";
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    text += fmt::format("{}{}", i > 0 ? ", " : "", tensor.shape[i]);
  }
  return text + "]";
}

Shape MatrixShape(const ModelSpec& spec, const LayerSpec& layer, MatrixRole role) {
  const int64_t d = spec.d_model;
  const int64_t n_q = int64_t{layer.n_heads} * layer.d_head;
  const int64_t n_out = int64_t{layer.n_heads} * layer.d_value;
  const int64_t n_delta_v = int64_t{spec.n_v_heads} * spec.d_v_head;
  switch (role) {
    case MatrixRole::kQuery:
      return {n_q, d};
    case MatrixRole::kQueryGate:
      return {n_out, d};
    case MatrixRole::kKey:
      return {int64_t{layer.n_kv_heads} * layer.d_head, d};
    case MatrixRole::kValue:
      return {int64_t{layer.n_kv_heads} * layer.d_value, d};
    case MatrixRole::kOutput:
      return {d, n_out};
    case MatrixRole::kGate:
    case MatrixRole::kUp:
      return {layer.d_ff, d};
    case MatrixRole::kDown:
      return {d, layer.d_ff};
    case MatrixRole::kRouter:
      return {layer.n_experts, d};
    case MatrixRole::kDeltaQkv:
      return {2 * int64_t{spec.n_k_heads} * spec.d_k_head + n_delta_v, d};
    case MatrixRole::kDeltaGate:
      return {n_delta_v, d};
    case MatrixRole::kDeltaAlpha:
    case MatrixRole::kDeltaBeta:
      return {spec.n_v_heads, d};
    case MatrixRole::kDeltaOut:
      return {d, n_delta_v};
    case MatrixRole::kConvIn:
      return {3 * d, d};
    case MatrixRole::kConvOut:
      return {d, d};
    case MatrixRole::kPerLayerGate:
      return {spec.d_per_layer_input, d};
    case MatrixRole::kPerLayerProjection:
      return {d, spec.d_per_layer_input};
  }
  return {0, 0};
}

int64_t VectorSize(const ModelSpec& spec, const LayerSpec& layer, VectorRole role) {
  switch (role) {
    case VectorRole::kMixerNorm:
    case VectorRole::kPostMixerNorm:
    case VectorRole::kFfnNorm:
    case VectorRole::kPostFfnNorm:
    case VectorRole::kOutputBias:
    case VectorRole::kPostPerLayerNorm:
      return spec.d_model;
    case VectorRole::kQueryBias:
      return int64_t{layer.n_heads} * layer.d_head;
    case VectorRole::kKeyBias:
      return int64_t{layer.n_kv_heads} * layer.d_head;
    case VectorRole::kValueBias:
      return int64_t{layer.n_kv_heads} * layer.d_value;
    case VectorRole::kQueryNorm:
    case VectorRole::kKeyNorm:
      return layer.d_head;
    case VectorRole::kDeltaConv:
      return (2 * int64_t{spec.n_k_heads} * spec.d_k_head +
              int64_t{spec.n_v_heads} * spec.d_v_head) *
             spec.conv_kernel;
    case VectorRole::kDeltaA:
    case VectorRole::kDeltaDt:
      return spec.n_v_heads;
    case VectorRole::kDeltaNorm:
      return spec.d_v_head;
    case VectorRole::kConvInBias:
      return 3 * spec.d_model;
    case VectorRole::kConvBias:
      return spec.d_model;
    case VectorRole::kConvKernel:
      return spec.d_model * spec.conv_kernel;
    case VectorRole::kLayerScale:
      return 1;
  }
  return 0;
}

Result<> CheckMatrix(const MatrixPlan& plan, Shape want) {
  const format::Tensor* tensor = plan.tensor;
  if (tensor == nullptr) return {};
  const int64_t n_cols = tensor->shape.empty() ? 1 : tensor->shape.back();
  int64_t n_rows = 1;
  for (size_t i = 0; i + 1 < tensor->shape.size(); ++i) n_rows *= tensor->shape[i];
  const auto out_of_range = [&](int64_t row) { return row < 0 || row >= n_rows; };
  const bool rows_exist =
      plan.row_order.empty()
          ? plan.row_begin >= 0 && plan.n_rows >= 0 && plan.row_begin <= n_rows - plan.n_rows
          : std::none_of(plan.row_order.begin(), plan.row_order.end(), out_of_range);
  const bool orders_fit =
      (plan.row_order.empty() || static_cast<int64_t>(plan.row_order.size()) == plan.n_rows) &&
      (plan.col_order.empty() || static_cast<int64_t>(plan.col_order.size()) == n_cols);
  if (n_cols != want.n_cols || plan.n_rows != want.n_rows || !rows_exist || !orders_fit) {
    return Error(
        Code::kInvalidArgument,
        "tensor {} has shape {}, but the configuration asks for {} rows of {} from it; the "
        "file is damaged or not of the architecture it names",
        tensor->name, ShapeText(*tensor), want.n_rows, want.n_cols);
  }
  if (!plan.col_order.empty() && !tensor->type->is_float) {
    return Error(Code::kUnimplemented, "tensor {} of type {} would need its columns reordered",
                 tensor->name, tensor->type->name);
  }
  return {};
}

Result<> CheckVector(const VectorPlan& plan, int64_t want) {
  const format::Tensor* tensor = plan.tensor;
  if (tensor == nullptr) return {};
  int64_t n_all = 1;
  for (const int64_t size : tensor->shape) n_all *= size;
  int64_t n = plan.n_values > 0 ? plan.n_values : n_all - plan.begin;
  bool fits = plan.begin >= 0 && n <= n_all - plan.begin;
  if (!plan.order.empty()) {
    n = static_cast<int64_t>(plan.order.size());
    for (const int32_t i : plan.order) fits = fits && i >= 0 && i < n_all - plan.begin;
  }
  if (n != want || !fits) {
    return Error(Code::kInvalidArgument,
                 "tensor {} has shape {}, but the configuration asks for {} values; the file is "
                 "damaged or not of the architecture it names",
                 tensor->name, ShapeText(*tensor), want);
  }
  return {};
}

// The roles that a layer cannot do without; absent ones would be read as null.
Result<> CheckPresent(const LayerSpec& layer, const LayerPlan& plan, size_t index) {
  const auto need = [&](MatrixRole role, const char* what) -> Result<> {
    if (plan[role].tensor != nullptr) return {};
    return Error(Code::kInvalidArgument, "layer {} has no tensor for its {}", index, what);
  };
  switch (layer.mixer) {
    case Mixer::kAttention:
      TRY(need(MatrixRole::kQuery, "queries"));
      if (layer.kv_from_layer < 0) {
        TRY(need(MatrixRole::kKey, "keys"));
        TRY(need(MatrixRole::kValue, "values"));
      }
      TRY(need(MatrixRole::kOutput, "attention output"));
      break;
    case Mixer::kGatedDeltaNet:
      TRY(need(MatrixRole::kDeltaQkv, "delta-net inputs"));
      TRY(need(MatrixRole::kDeltaGate, "delta-net gate"));
      TRY(need(MatrixRole::kDeltaAlpha, "delta-net decay"));
      TRY(need(MatrixRole::kDeltaBeta, "delta-net beta"));
      TRY(need(MatrixRole::kDeltaOut, "delta-net output"));
      break;
    case Mixer::kShortConv:
      TRY(need(MatrixRole::kConvIn, "convolution input"));
      TRY(need(MatrixRole::kConvOut, "convolution output"));
      break;
  }
  if (layer.n_experts > 0) {
    TRY(need(MatrixRole::kRouter, "router"));
    const auto n_experts = static_cast<size_t>(layer.n_experts);
    if (plan.expert_gate.size() != n_experts || plan.expert_up.size() != n_experts ||
        plan.expert_down.size() != n_experts) {
      return Error(Code::kInvalidArgument, "layer {} does not have tensors for its {} experts",
                   index, n_experts);
    }
  } else {
    TRY(need(MatrixRole::kGate, "feed-forward gate"));
    TRY(need(MatrixRole::kUp, "feed-forward input"));
    TRY(need(MatrixRole::kDown, "feed-forward output"));
  }
  return {};
}

}  // namespace

Result<> CheckPlan(const ModelSpec& spec, const TensorPlan& plan) {
  if (plan.layers.size() != spec.layers.size()) {
    return Error(Code::kInternal, "a plan of {} layers for {}", plan.layers.size(),
                 spec.layers.size());
  }
  const Shape vocabulary{spec.n_vocab, spec.d_model};
  if (plan.embedding.tensor == nullptr) {
    return Error(Code::kInvalidArgument, "the model has no token embedding");
  }
  TRY(CheckMatrix(plan.embedding, vocabulary));
  TRY(CheckMatrix(plan.head, vocabulary));
  TRY(CheckVector(plan.output_norm, spec.d_model));
  const int64_t n_per_layer = static_cast<int64_t>(spec.layers.size()) * spec.d_per_layer_input;
  TRY(CheckMatrix(plan.per_layer_embedding, {spec.n_vocab, n_per_layer}));
  TRY(CheckMatrix(plan.per_layer_projection, {n_per_layer, spec.d_model}));
  TRY(CheckVector(plan.per_layer_norm, spec.d_per_layer_input));
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    TRY(CheckPresent(layer, plan.layers[i], i));
    for (int r = 0; r < kNumMatrixRoles; ++r) {
      TRY(CheckMatrix(plan.layers[i].matrices[r],
                      MatrixShape(spec, layer, static_cast<MatrixRole>(r))));
    }
    for (int r = 0; r < kNumVectorRoles; ++r) {
      TRY(CheckVector(plan.layers[i].vectors[r],
                      VectorSize(spec, layer, static_cast<VectorRole>(r))));
    }
    for (const auto* experts : {&plan.layers[i].expert_gate, &plan.layers[i].expert_up}) {
      for (const MatrixPlan& expert : *experts) {
        TRY(CheckMatrix(expert, {layer.d_ff, spec.d_model}));
      }
    }
    for (const MatrixPlan& expert : plan.layers[i].expert_down) {
      TRY(CheckMatrix(expert, {spec.d_model, layer.d_ff}));
    }
  }
  return {};
}

}  // namespace lamina::model
