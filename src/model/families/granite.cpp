// Granite 3 and 4 (dense): Llama with scales of embedding, attention, residual sums and logits.
#include "model/families/common.h"

namespace lamina::model::families {
namespace {

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadBase(fields));
  TRY(SetRope(fields, &spec));
  const auto scale = [&](Field field) { return fields.FloatOr(field, 1.0, 1e-6, 1e6); };
  spec.embedding_scale =
      static_cast<float>(TRY(scale({"embedding_scale", "embedding_multiplier"})));
  spec.residual_scale = static_cast<float>(TRY(scale({"residual_scale", "residual_multiplier"})));
  // Files name the divisor of the logits.
  spec.logit_scale = 1.0f / static_cast<float>(TRY(scale({"logit_scale", "logits_scaling"})));
  const Field attention = {"attention.scale", "attention_multiplier"};
  for (LayerSpec& layer : spec.layers) {
    // The reference takes 1 where config.json is silent; GGUF's convention is the usual scale.
    const double usual = fields.is_gguf() ? layer.attention_scale : 1.0;
    layer.attention_scale = static_cast<float>(TRY(fields.FloatOr(attention, usual, 1e-6, 1e6)));
  }
  return spec;
}

}  // namespace

extern const FamilyCode kGranite = {Read, PlanLlama};

}  // namespace lamina::model::families
