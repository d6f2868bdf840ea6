// Qwen 3.5: gated delta-nets, gated attention in every fourth layer.
#include <numeric>

#include "model/families/common.h"

namespace lamina::model::families {
namespace {

constexpr MatrixName kMatrices[] = {
    {MatrixRole::kKey, Where::kAttention, "attn_k", "self_attn.k_proj"},
    {MatrixRole::kValue, Where::kAttention, "attn_v", "self_attn.v_proj"},
    {MatrixRole::kOutput, Where::kAttention, "attn_output", "self_attn.o_proj"},
    {MatrixRole::kDeltaQkv, Where::kDelta, "attn_qkv", "linear_attn.in_proj_qkv"},
    {MatrixRole::kDeltaGate, Where::kDelta, "attn_gate", "linear_attn.in_proj_z"},
    {MatrixRole::kDeltaAlpha, Where::kDelta, "ssm_alpha", "linear_attn.in_proj_a"},
    {MatrixRole::kDeltaBeta, Where::kDelta, "ssm_beta", "linear_attn.in_proj_b"},
    {MatrixRole::kDeltaOut, Where::kDelta, "ssm_out", "linear_attn.out_proj"},
    {MatrixRole::kGate, Where::kDense, "ffn_gate", "mlp.gate_proj"},
    {MatrixRole::kUp, Where::kDense, "ffn_up", "mlp.up_proj"},
    {MatrixRole::kDown, Where::kDense, "ffn_down", "mlp.down_proj"},
};
constexpr VectorName kVectors[] = {
    {VectorRole::kMixerNorm, Where::kAll, "attn_norm.weight", "input_layernorm.weight"},
    {VectorRole::kFfnNorm, Where::kAll, "post_attention_norm.weight",
     "post_attention_layernorm.weight"},
    {VectorRole::kQueryNorm, Where::kAttention, "attn_q_norm.weight", "self_attn.q_norm.weight"},
    {VectorRole::kKeyNorm, Where::kAttention, "attn_k_norm.weight", "self_attn.k_norm.weight"},
    {VectorRole::kDeltaConv, Where::kDelta, "ssm_conv1d.weight", "linear_attn.conv1d.weight"},
    {VectorRole::kDeltaA, Where::kDelta, "ssm_a", "linear_attn.A_log"},
    {VectorRole::kDeltaDt, Where::kDelta, "ssm_dt.bias", "linear_attn.dt_bias"},
    {VectorRole::kDeltaNorm, Where::kDelta, "ssm_norm.weight", "linear_attn.norm.weight"},
};

/// Which layers are delta-nets.
Result<std::vector<bool>> RecurrentLayers(const Fields& fields, int64_t n_layers,
                                          int64_t n_blocks) {
  std::vector<bool> recurrent(n_layers);
  const Field flags = {"attention.recurrent_layers", ""}, types = {"", "layer_types"};
  if (fields.Has(flags)) {
    const auto values = TRY(fields.PerLayer(flags, n_blocks, {0, 1}));
    for (int64_t i = 0; i < n_layers; ++i) recurrent[i] = values[i] != 0;
    return recurrent;
  }
  if (fields.Has(types)) {
    const auto values = TRY(fields.Strings(types));
    if (static_cast<int64_t>(values.size()) != n_layers) {
      return Error(Code::kInvalidArgument, "{} has {} values, but the model has {} layers",
                   fields.Name(types), values.size(), n_layers);
    }
    for (int64_t i = 0; i < n_layers; ++i) {
      if (values[i] != "linear_attention" && values[i] != "full_attention") {
        return Error(Code::kUnimplemented,
                     "{} has {}; supported are linear_attention and full_attention",
                     fields.Name(types), values[i]);
      }
      recurrent[i] = values[i] == "linear_attention";
    }
    return recurrent;
  }
  const Field interval_field = {"full_attention_interval", "full_attention_interval"};
  const int64_t interval = TRY(fields.IntOr(interval_field, 4, {1, 512}));
  for (int64_t i = 0; i < n_layers; ++i) recurrent[i] = (i + 1) % interval != 0;
  return recurrent;
}

Result<> SetDeltaWidths(const Fields& fields, ModelSpec* spec) {
  const Bounds heads = {1, 1024}, widths = {1, 256};
  const auto read = [&](Field field, Bounds bounds, int* out) -> Result<> {
    *out = static_cast<int>(TRY(fields.Int(field, bounds)));
    return {};
  };
  TRY(read({"ssm.conv_kernel", "linear_conv_kernel_dim"}, {1, 1024}, &spec->conv_kernel));
  TRY(read({"ssm.group_count", "linear_num_key_heads"}, heads, &spec->n_k_heads));
  TRY(read({"ssm.time_step_rank", "linear_num_value_heads"}, heads, &spec->n_v_heads));
  TRY(read({"ssm.state_size", "linear_key_head_dim"}, widths, &spec->d_k_head));
  if (!fields.is_gguf()) return read({"", "linear_value_head_dim"}, widths, &spec->d_v_head);
  const Field inner_field = {"ssm.inner_size", ""};
  const int64_t inner = TRY(fields.Int(inner_field, {1, 1 << 20}));
  if (inner % spec->n_v_heads != 0) {
    return Error(Code::kInvalidArgument, "{} is {}, which is no multiple of ssm.time_step_rank {}",
                 fields.Name(inner_field), inner, spec->n_v_heads);
  }
  spec->d_v_head = static_cast<int>(inner / spec->n_v_heads);
  return {};
}

Result<ModelSpec> Read(const Fields& fields) {
  const Field extra = {"nextn_predict_layers", ""};
  ModelSpec spec = TRY(ReadBase(fields, {.extra_layers = extra}));
  TRY(SetRope(fields, &spec));
  TRY(SetDeltaWidths(fields, &spec));
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  const int64_t n_extra = TRY(fields.IntOr(extra, 0, {0, 512}));
  const auto recurrent = TRY(RecurrentLayers(fields, n_layers, n_layers + n_extra));
  for (int64_t i = 0; i < n_layers; ++i) {
    LayerSpec& layer = spec.layers[i];
    if (!recurrent[i]) {
      layer.qk_norm = true;
      layer.output_gate = true;
      continue;
    }
    const int d_ff = layer.d_ff;
    layer = LayerSpec{.mixer = Mixer::kGatedDeltaNet};
    layer.d_ff = d_ff;
  }
  return spec;
}

/// Values of Hugging Face's order of value heads (those of one key head side by side) in the order
/// of the specification (head v reads key head v % n_k_heads), `width` values each, after `before`
/// values that stay.
std::vector<int32_t> TiledOrder(const ModelSpec& spec, int64_t before, int64_t width) {
  std::vector<int32_t> order(before);
  std::iota(order.begin(), order.end(), 0);
  const int64_t n_per_key = spec.n_v_heads / spec.n_k_heads;
  for (int64_t head = 0; head < spec.n_v_heads; ++head) {
    const int64_t from = head % spec.n_k_heads * n_per_key + head / spec.n_k_heads;
    for (int64_t i = 0; i < width; ++i) {
      order.push_back(static_cast<int32_t>(before + from * width + i));
    }
  }
  return order;
}

int64_t NumChannels(const ModelSpec& spec) {
  return int64_t{2} * spec.n_k_heads * spec.d_k_head + int64_t{spec.n_v_heads} * spec.d_v_head;
}

void ReorderFromHuggingFace(const ModelSpec& spec, LayerPlan* out) {
  const int64_t n_keys = int64_t{2} * spec.n_k_heads * spec.d_k_head;
  LayerPlan& layer = *out;
  layer[VectorRole::kDeltaA].transform = VectorPlan::Transform::kNegativeExp;
  if (spec.n_k_heads == spec.n_v_heads) return;
  layer[MatrixRole::kDeltaQkv].row_order = TiledOrder(spec, n_keys, spec.d_v_head);
  layer[MatrixRole::kDeltaGate].row_order = TiledOrder(spec, 0, spec.d_v_head);
  layer[MatrixRole::kDeltaAlpha].row_order = TiledOrder(spec, 0, 1);
  layer[MatrixRole::kDeltaBeta].row_order = TiledOrder(spec, 0, 1);
  layer[MatrixRole::kDeltaOut].col_order = TiledOrder(spec, 0, spec.d_v_head);
  layer[VectorRole::kDeltaA].order = TiledOrder(spec, 0, 1);
  layer[VectorRole::kDeltaDt].order = TiledOrder(spec, 0, 1);
  layer[VectorRole::kDeltaConv].order =
      TapsFirst(NumChannels(spec), spec.conv_kernel, TiledOrder(spec, n_keys, spec.d_v_head));
}

/// Rows of a projection whose heads are [query | gate].
MatrixPlan HalfOfHeads(const format::Tensor* tensor, const LayerSpec& layer, bool second) {
  MatrixPlan plan = RowsOf(tensor, 0, int64_t{layer.n_heads} * layer.d_head);
  for (int64_t row = 0; row < plan.n_rows; ++row) {
    const int64_t head = row / layer.d_head;
    plan.row_order.push_back(static_cast<int32_t>(row + (second ? head + 1 : head) * layer.d_head));
  }
  return plan;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  TensorPlan plan = TRY(PlanByNames(
      source, spec, {.matrices = kMatrices, .vectors = kVectors, .hf_norms_minus_one = true}));
  const TensorFinder find(source);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    if (layer.mixer == Mixer::kGatedDeltaNet) {
      plan.layers[i][VectorRole::kDeltaConv].order = TapsFirst(NumChannels(spec), spec.conv_kernel);
      if (!find.is_gguf()) ReorderFromHuggingFace(spec, &plan.layers[i]);
      continue;
    }
    const auto* query = TRY(find.NeedInLayer(i, "attn_q.weight", "self_attn.q_proj.weight"));
    plan.layers[i][MatrixRole::kQuery] = HalfOfHeads(query, layer, false);
    plan.layers[i][MatrixRole::kQueryGate] = HalfOfHeads(query, layer, true);
  }
  return plan;
}

}  // namespace

extern const FamilyCode kQwen35 = {Read, Plan};

}  // namespace lamina::model::families
