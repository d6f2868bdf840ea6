// Qwen 3, dense and with experts: Llama with norms of every query and key head.
#include <algorithm>

#include "model/families/common.h"

namespace lamina::model::families {
namespace {

constexpr VectorName kVectors[] = {
    {VectorRole::kMixerNorm, Where::kAll, "attn_norm.weight", "input_layernorm.weight"},
    {VectorRole::kFfnNorm, Where::kAll, "ffn_norm.weight", "post_attention_layernorm.weight"},
    {VectorRole::kQueryNorm, Where::kAttention, "attn_q_norm.weight", "self_attn.q_norm.weight"},
    {VectorRole::kKeyNorm, Where::kOwnKeys, "attn_k_norm.weight", "self_attn.k_norm.weight"},
};

Result<ModelSpec> ReadAttention(const Fields& fields, bool window_by_layer) {
  ModelSpec spec = TRY(ReadBase(fields));
  TRY(SetRope(fields, &spec));
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  const int64_t n_full =
      window_by_layer ? TRY(fields.IntOr({"", "max_window_layers"}, 28, {0, 1024})) : 0;
  std::vector<bool> slides(n_layers);
  for (int64_t i = 0; i < n_layers; ++i) slides[i] = i >= n_full;
  TRY(SetOptionalWindows(fields, slides, &spec));
  for (LayerSpec& layer : spec.layers) layer.qk_norm = true;
  return spec;
}

Result<ModelSpec> ReadDense(const Fields& fields) { return ReadAttention(fields, true); }

Result<ModelSpec> ReadSparse(const Fields& fields) {
  ModelSpec spec = TRY(ReadAttention(fields, false));
  const std::vector<LayerSpec> dense = spec.layers;
  TRY(ReadExperts(fields, &spec));
  // GGUF has no field for it: its Qwen 3 models all normalise.
  const bool normalize =
      TRY(fields.BoolOr({"expert_weights_norm", "norm_topk_prob"}, fields.is_gguf()));
  const int64_t step = TRY(fields.IntOr({"", "decoder_sparse_step"}, 1, {1, 1024}));
  const Field dense_field = {"", "mlp_only_layers"};
  std::vector<double> dense_layers;
  if (fields.Has(dense_field)) dense_layers = TRY(fields.Floats(dense_field));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    spec.layers[i].normalize_expert_weights = normalize;
    const bool is_dense = std::find(dense_layers.begin(), dense_layers.end(),
                                    static_cast<double>(i)) != dense_layers.end();
    if (is_dense || (static_cast<int64_t>(i) + 1) % step != 0) spec.layers[i] = dense[i];
  }
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  TensorPlan plan =
      TRY(PlanByNames(source, spec, {.matrices = kLlamaMatrices, .vectors = kVectors}));
  TRY(PlanExperts(source, spec,
                  {.hf_router = "mlp.gate.weight",
                   .hf_gate = "mlp.experts.{}.gate_proj.weight",
                   .hf_up = "mlp.experts.{}.up_proj.weight",
                   .hf_down = "mlp.experts.{}.down_proj.weight"},
                  &plan));
  return plan;
}

}  // namespace

extern const FamilyCode kQwen3 = {ReadDense, Plan};
extern const FamilyCode kQwen3Moe = {ReadSparse, Plan};

}  // namespace lamina::model::families
