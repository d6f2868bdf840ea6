// Phi-3, 3.5, 4 and 4-mini: fused projections, LongRoPE, partial rotation, a window in every layer.
#include "model/families/common.h"

namespace lamina::model::families {
namespace {

constexpr MatrixName kMatrices[] = {
    {MatrixRole::kOutput, Where::kAttention, "attn_output", "self_attn.o_proj"},
    {MatrixRole::kDown, Where::kDense, "ffn_down", "mlp.down_proj"},
};
constexpr VectorName kVectors[] = {
    {VectorRole::kMixerNorm, Where::kAll, "attn_norm.weight", "input_layernorm.weight"},
    {VectorRole::kFfnNorm, Where::kAll, "ffn_norm.weight", "post_attention_layernorm.weight"},
};

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadBase(fields));
  TRY(SetRope(fields, &spec));
  TRY(SetWindowEverywhere(fields, &spec));
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  TensorPlan plan = TRY(PlanByNames(source, spec, {.matrices = kMatrices, .vectors = kVectors}));
  const TensorFinder find(source);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    LayerPlan& out = plan.layers[i];
    const auto* qkv = TRY(find.NeedInLayer(i, "attn_qkv.weight", "self_attn.qkv_proj.weight"));
    const int64_t n_query = layer.n_heads * layer.d_head, n_key = layer.n_kv_heads * layer.d_head;
    out[MatrixRole::kQuery] = RowsOf(qkv, 0, n_query);
    out[MatrixRole::kKey] = RowsOf(qkv, n_query, n_key);
    out[MatrixRole::kValue] = RowsOf(qkv, n_query + n_key, layer.n_kv_heads * layer.d_value);
    const auto* gate_up = TRY(find.NeedInLayer(i, "ffn_up.weight", "mlp.gate_up_proj.weight"));
    out[MatrixRole::kGate] = RowsOf(gate_up, 0, layer.d_ff);
    out[MatrixRole::kUp] = RowsOf(gate_up, layer.d_ff, layer.d_ff);
  }
  return plan;
}

}  // namespace

extern const FamilyCode kPhi3 = {Read, Plan};

}  // namespace lamina::model::families
