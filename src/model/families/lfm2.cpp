// LFM2: short convolutions, and attention in some layers.
#include <algorithm>

#include "model/families/common.h"

namespace lamina::model::families {
namespace {

constexpr MatrixName kMatrices[] = {
    {MatrixRole::kQuery, Where::kAttention, "attn_q", "self_attn.q_proj"},
    {MatrixRole::kKey, Where::kAttention, "attn_k", "self_attn.k_proj"},
    {MatrixRole::kValue, Where::kAttention, "attn_v", "self_attn.v_proj"},
    {MatrixRole::kOutput, Where::kAttention, "attn_output", "self_attn.out_proj"},
    {MatrixRole::kConvIn, Where::kConv, "shortconv.in_proj", "conv.in_proj"},
    {MatrixRole::kConvOut, Where::kConv, "shortconv.out_proj", "conv.out_proj"},
    {MatrixRole::kGate, Where::kDense, "ffn_gate", "feed_forward.w1"},
    {MatrixRole::kUp, Where::kDense, "ffn_up", "feed_forward.w3"},
    {MatrixRole::kDown, Where::kDense, "ffn_down", "feed_forward.w2"},
};
constexpr VectorName kVectors[] = {
    {VectorRole::kMixerNorm, Where::kAll, "attn_norm.weight", "operator_norm.weight"},
    {VectorRole::kFfnNorm, Where::kAll, "ffn_norm.weight", "ffn_norm.weight"},
    {VectorRole::kQueryNorm, Where::kAttention, "attn_q_norm.weight",
     "self_attn.q_layernorm.weight"},
    {VectorRole::kKeyNorm, Where::kAttention, "attn_k_norm.weight", "self_attn.k_layernorm.weight"},
    {VectorRole::kConvKernel, Where::kConv, "shortconv.conv.weight", "conv.conv.weight"},
    {VectorRole::kConvInBias, Where::kConv, "shortconv.in_proj.bias", "conv.in_proj.bias", false},
    {VectorRole::kConvBias, Where::kConv, "shortconv.conv.bias", "conv.conv.bias", false},
    {VectorRole::kOutputBias, Where::kConv, "shortconv.out_proj.bias", "conv.out_proj.bias", false},
};

/// config.json: which layers attend; GGUF says it by their number of key-value heads.
Result<std::vector<bool>> AttendingLayers(const Fields& fields, const ModelSpec& spec) {
  const size_t n_layers = spec.layers.size();
  std::vector<bool> attends(n_layers);
  const Field types_field = {"", "layer_types"}, indices_field = {"", "full_attn_idxs"};
  if (fields.is_gguf()) {
    for (size_t i = 0; i < n_layers; ++i) attends[i] = spec.layers[i].n_kv_heads > 0;
  } else if (fields.Has(types_field)) {
    const auto types = TRY(fields.Strings(types_field));
    if (types.size() != n_layers) {
      return Error(Code::kInvalidArgument, "{} has {} values, but the model has {} layers",
                   fields.Name(types_field), types.size(), n_layers);
    }
    for (size_t i = 0; i < n_layers; ++i) {
      if (types[i] != "conv" && types[i] != "full_attention") {
        return Error(Code::kUnimplemented, "{} has {}; supported are conv and full_attention",
                     fields.Name(types_field), types[i]);
      }
      attends[i] = types[i] == "full_attention";
    }
  } else if (fields.Has(indices_field)) {
    for (double index : TRY(fields.Floats(indices_field))) {
      if (!(index >= 0 && index < static_cast<double>(n_layers))) {
        return Error(Code::kInvalidArgument, "{} holds {}, but the model has {} layers",
                     fields.Name(indices_field), index, n_layers);
      }
      attends[static_cast<size_t>(index)] = true;
    }
  } else {
    attends.assign(n_layers, true);
  }
  return attends;
}

/// Older config.json files give the width of the network before it is adjusted.
Result<int64_t> AdjustedWidth(const Fields& fields, int64_t d_ff) {
  if (fields.is_gguf() || !TRY(fields.BoolOr({"", "block_auto_adjust_ff_dim"}, true))) {
    return d_ff;
  }
  const double factor = TRY(fields.FloatOr({"", "block_ffn_dim_multiplier"}, 1.0, 1e-3, 1e3));
  const int64_t multiple = TRY(fields.IntOr({"", "block_multiple_of"}, 256, {1, 1 << 20}));
  const int64_t two_thirds = 2 * d_ff / 3;  // Rounded down, as the reference does first.
  const auto width = static_cast<int64_t>(factor * static_cast<double>(two_thirds));
  return (width + multiple - 1) / multiple * multiple;
}

Result<ModelSpec> Read(const Fields& fields) {
  const bool old_names = fields.Has({"", "block_ff_dim"});
  ModelSpec spec = TRY(ReadBase(
      fields,
      {.norm_eps = {"attention.layer_norm_rms_epsilon",
                    fields.Has({"", "norm_eps"}) ? "norm_eps" : "block_norm_eps"},
       .feed_forward = {"feed_forward_length", old_names ? "block_ff_dim" : "intermediate_size"},
       .zero_kv_heads = true}));
  TRY(SetRope(fields, &spec, {.default_theta = 1e6}));
  spec.conv_kernel =
      static_cast<int>(TRY(fields.Int({"shortconv.l_cache", "conv_L_cache"}, {1, 1024})));
  const auto attends = TRY(AttendingLayers(fields, spec));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec& layer = spec.layers[i];
    layer.d_ff = static_cast<int>(TRY(AdjustedWidth(fields, layer.d_ff)));
    if (attends[i]) {
      layer.qk_norm = true;
      continue;
    }
    const int d_ff = layer.d_ff;
    layer = LayerSpec{.mixer = Mixer::kShortConv};
    layer.d_ff = d_ff;
  }
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  // GGUF calls the norm before the head token_embd_norm.
  TensorPlan plan = TRY(PlanByNames(source, spec,
                                    {.matrices = kMatrices,
                                     .vectors = kVectors,
                                     .gguf_output_norm = "token_embd_norm.weight",
                                     .hf_output_norm = "embedding_norm.weight"}));
  const auto taps_first = TapsFirst(spec.d_model, spec.conv_kernel);
  for (LayerPlan& layer : plan.layers) {
    if (layer[VectorRole::kConvKernel].tensor) layer[VectorRole::kConvKernel].order = taps_first;
  }
  return plan;
}

}  // namespace

extern const FamilyCode kLfm2 = {Read, Plan};

}  // namespace lamina::model::families
