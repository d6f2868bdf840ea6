// Gemma 3: norms of queries and keys, windows in five of six layers, which rotate with a base of
// their own and without scaling.
#include "model/families/gemma.h"

namespace lamina::model::families {
namespace {

constexpr VectorName kHeadNorms[] = {
    {VectorRole::kQueryNorm, Where::kAttention, "attn_q_norm.weight", "self_attn.q_norm.weight"},
    {VectorRole::kKeyNorm, Where::kOwnKeys, "attn_k_norm.weight", "self_attn.k_norm.weight"},
};

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadGemma(fields, 6));
  TRY(SetGemmaScale(fields, 62, &spec));
  TRY(SetRope(fields, &spec, {.default_theta = 1e6, .hf_group = "full_attention"}));
  spec.ropes.push_back(TRY(ReadRope(fields, spec.layers[0].d_head,
                                    {.theta = {"rope.freq_base_swa", "rope_local_base_freq"},
                                     .n_rot = {"rope.dimension_count_swa", ""},
                                     .scaled = false,
                                     .hf_group = "sliding_attention"})));
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  const auto sliding = TRY(ReadSliding(fields, n_layers, 6));
  for (int64_t i = 0; i < n_layers; ++i) {
    spec.layers[i].qk_norm = true;
    if (sliding[i]) spec.layers[i].rope = 1;
  }
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  return PlanByNames(source, spec,
                     {.matrices = kLlamaMatrices,
                      .vectors = kGemmaVectors,
                      .more_vectors = kHeadNorms,
                      .hf_norms_minus_one = true});
}

}  // namespace

extern const FamilyCode kGemma3 = {Read, Plan};

}  // namespace lamina::model::families
