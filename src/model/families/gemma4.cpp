// Gemma 4: heads, bases and widths by kind of layer, keys and values shared by the last layers, an
// input of its own for every layer.
#include <cmath>

#include "model/families/gemma.h"

namespace lamina::model::families {
namespace {

constexpr MatrixName kMatrices[] = {
    {MatrixRole::kQuery, Where::kAttention, "attn_q", "self_attn.q_proj"},
    {MatrixRole::kKey, Where::kOwnKeys, "attn_k", "self_attn.k_proj"},
    {MatrixRole::kOutput, Where::kAttention, "attn_output", "self_attn.o_proj"},
    {MatrixRole::kGate, Where::kDense, "ffn_gate", "mlp.gate_proj"},
    {MatrixRole::kUp, Where::kDense, "ffn_up", "mlp.up_proj"},
    {MatrixRole::kDown, Where::kDense, "ffn_down", "mlp.down_proj"},
};
constexpr VectorName kMoreVectors[] = {
    {VectorRole::kQueryNorm, Where::kAttention, "attn_q_norm.weight", "self_attn.q_norm.weight"},
    {VectorRole::kKeyNorm, Where::kOwnKeys, "attn_k_norm.weight", "self_attn.k_norm.weight"},
    {VectorRole::kLayerScale, Where::kAll, "layer_output_scale.weight", "layer_scalar", false},
};

/// A number of one layer in config.json's per_layer_config, whose keys are padded with zeros.
Result<int64_t> LayerOverride(const Fields& fields, size_t layer, std::string_view name,
                              int64_t fallback, Bounds bounds) {
  for (const char* format : {"{}", "{:02}", "{:03}"}) {
    const std::string path =
        fmt::format("per_layer_config.{}.{}", fmt::format(fmt::runtime(format), layer), name);
    if (fields.Has({"", path})) return fields.Int({"", path}, bounds);
  }
  return fallback;
}

/// Widths and numbers of heads, by kind of layer and by layer.
Result<> SetHeads(const Fields& fields, const std::vector<bool>& sliding, ModelSpec* spec) {
  const Bounds widths = {1, 512}, heads = {1, 1024};
  const int64_t d_head = spec->layers[0].d_head, d_value = spec->layers[0].d_value;
  const int64_t d_local = TRY(fields.IntOr({"attention.key_length_swa", ""}, d_head, widths));
  const int64_t d_local_value =
      TRY(fields.IntOr({"attention.value_length_swa", ""}, d_value, widths));
  const bool listed = fields.Has({"", "per_layer_config"});
  const int64_t d_global =
      fields.is_gguf() || listed ? d_head : TRY(fields.IntOr({"", "global_head_dim"}, 512, widths));
  const bool keys_are_values = TRY(fields.BoolOr({"", "attention_k_eq_v"}, false));
  for (size_t i = 0; i < spec->layers.size(); ++i) {
    LayerSpec& layer = spec->layers[i];
    if (fields.is_gguf()) {
      layer.d_head = static_cast<int>(sliding[i] ? d_local : d_head);
      layer.d_value = static_cast<int>(sliding[i] ? d_local_value : d_value);
      continue;
    }
    int64_t n_kv_heads = layer.n_kv_heads;
    if (!sliding[i] && !listed && keys_are_values) {
      n_kv_heads = TRY(fields.IntOr({"", "num_global_key_value_heads"}, n_kv_heads, heads));
    }
    layer.n_kv_heads =
        static_cast<int>(TRY(LayerOverride(fields, i, "num_key_value_heads", n_kv_heads, heads)));
    layer.d_head = static_cast<int>(
        TRY(LayerOverride(fields, i, "head_dim", sliding[i] ? d_head : d_global, widths)));
    layer.d_value = layer.d_head;
  }
  return {};
}

/// The last layers read the keys and values of the last layer of their kind before them, and have
/// networks of twice the width where config.json says so.
Result<> SetSharing(const Fields& fields, const std::vector<bool>& sliding, ModelSpec* spec) {
  const auto n_layers = static_cast<int64_t>(spec->layers.size());
  const Field shared = {"attention.shared_kv_layers", "num_kv_shared_layers"};
  const int64_t n_own = n_layers - TRY(fields.IntOr(shared, 0, {0, n_layers - 1}));
  const bool twice = TRY(fields.BoolOr({"", "use_double_wide_mlp"}, false));
  for (int64_t i = n_own; i < n_layers; ++i) {
    LayerSpec& layer = spec->layers[i];
    for (int64_t giver = 0; giver < n_own; ++giver) {
      if (sliding[giver] == sliding[i]) layer.kv_from_layer = static_cast<int>(giver);
    }
    if (layer.kv_from_layer < 0) {
      return Error(Code::kInvalidArgument,
                   "{} is {}, which leaves layer {} without a layer to share keys and values of",
                   fields.Name(shared), n_layers - n_own, i);
    }
    if (twice) layer.d_ff *= 2;
  }
  return {};
}

Result<ModelSpec> Read(const Fields& fields) {
  const Field experts = {"expert_count", "num_experts"};
  if (TRY(fields.BoolOr({"", "enable_moe_block"}, false)) ||
      TRY(fields.IntOr(experts, 0, {0, 4096})) > 0) {
    return Error(Code::kUnimplemented, "Gemma 4 with experts ({}) is not supported",
                 fields.Name(experts));
  }
  ModelSpec spec = TRY(ReadGemma(fields, 6));
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  auto sliding = TRY(ReadSliding(fields, n_layers, 6));
  if (!fields.is_gguf() && sliding.back()) {
    // The reference makes the last layer see all, whatever layer_types says.
    sliding.back() = false;
    spec.layers.back().window = 0;
  }
  TRY(SetHeads(fields, sliding, &spec));
  TRY(SetSharing(fields, sliding, &spec));
  // Each kind of layer has one rotation; its width is that of the kind's heads.
  spec.ropes.resize(2);
  for (int64_t i = 0; i < n_layers; ++i) {
    LayerSpec& layer = spec.layers[i];
    layer.attention_scale = 1.0f;
    layer.qk_norm = true;
    layer.value_norm = true;
    layer.rope = sliding[i] ? 1 : 0;
    RopeSpec& rope = spec.ropes[layer.rope];
    if (rope.n_rot > 0) continue;
    const RopeOptions local = {.theta = {"rope.freq_base_swa", ""},
                               .n_rot = {"rope.dimension_count_swa", ""},
                               .scaled = false,
                               .hf_group = "sliding_attention"};
    const RopeOptions global = {.default_theta = 1e6, .hf_group = "full_attention"};
    rope = TRY(ReadRope(fields, layer.d_head, sliding[i] ? local : global));
  }
  if (!fields.is_gguf() && !fields.Has({"", "rope_parameters"})) {
    for (int i = spec.ropes[0].n_rot / 8; i < spec.ropes[0].n_rot / 2; ++i) {
      spec.ropes[0].freq_divisors.resize(i, 1.0f);
      spec.ropes[0].freq_divisors.push_back(1e30f);
    }
  }
  spec.d_per_layer_input = static_cast<int>(TRY(fields.IntOr(
      {"embedding_length_per_layer_input", "hidden_size_per_layer_input"}, 0, {0, 1 << 16})));
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  TensorPlan plan = TRY(
      PlanByNames(source, spec,
                  {.matrices = kMatrices, .vectors = kGemmaVectors, .more_vectors = kMoreVectors}));
  const TensorFinder find(source);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.layers[i].kv_from_layer >= 0) continue;
    // Where there is no value projection, values are the keys before norm and rotation.
    const auto* value = find.InLayer(i, "attn_v.weight", "self_attn.v_proj.weight");
    plan.layers[i][MatrixRole::kValue] =
        value ? WholeMatrix(value) : plan.layers[i][MatrixRole::kKey];
  }
  if (spec.d_per_layer_input == 0) return plan;
  plan.per_layer_embedding = WholeMatrix(
      TRY(find.NeedInModel("per_layer_token_embd.weight", "embed_tokens_per_layer.weight")));
  plan.per_layer_projection = WholeMatrix(
      TRY(find.NeedInModel("per_layer_model_proj.weight", "per_layer_model_projection.weight")));
  plan.per_layer_norm = WholeVector(
      TRY(find.NeedInModel("per_layer_proj_norm.weight", "per_layer_projection_norm.weight")));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    LayerPlan& out = plan.layers[i];
    out[MatrixRole::kPerLayerGate] =
        WholeMatrix(TRY(find.NeedInLayer(i, "inp_gate.weight", "per_layer_input_gate.weight")));
    out[MatrixRole::kPerLayerProjection] =
        WholeMatrix(TRY(find.NeedInLayer(i, "proj.weight", "per_layer_projection.weight")));
    out[VectorRole::kPostPerLayerNorm] = WholeVector(
        TRY(find.NeedInLayer(i, "post_norm.weight", "post_per_layer_input_norm.weight")));
  }
  return plan;
}

}  // namespace

extern const FamilyCode kGemma4 = {Read, Plan};

}  // namespace lamina::model::families
