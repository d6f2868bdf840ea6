// SmolLM3: Llama without rotation in every fourth layer.
#include "model/families/common.h"

namespace lamina::model::families {
namespace {

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadBase(fields));
  TRY(SetRope(fields, &spec));
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  const Field rotated = {"", "no_rope_layers"};  // 1 = this layer rotates, whatever the name says.
  std::vector<int64_t> rotates(n_layers);
  if (fields.Has(rotated)) {
    rotates = TRY(fields.PerLayer(rotated, n_layers, {0, 1}));
  } else {
    const int64_t interval = TRY(fields.IntOr({"", "no_rope_layer_interval"}, 4, {1, 1024}));
    for (int64_t i = 0; i < n_layers; ++i) rotates[i] = (i + 1) % interval != 0;
  }
  std::vector<bool> slides(n_layers);
  for (int64_t i = 0; i < n_layers; ++i) {
    slides[i] = rotates[i] == 0;
    if (rotates[i] == 0) spec.layers[i].rope = -1;
  }
  TRY(SetOptionalWindows(fields, slides, &spec));
  return spec;
}

}  // namespace

extern const FamilyCode kSmolLm3 = {Read, PlanLlama};

}  // namespace lamina::model::families
