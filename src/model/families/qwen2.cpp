// Qwen 2 and 2.5: Llama with biases of queries, keys and values.
#include "model/families/common.h"

namespace lamina::model::families {
namespace {

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadBase(fields));
  TRY(SetRope(fields, &spec));
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  const int64_t n_full = TRY(fields.IntOr({"", "max_window_layers"}, 28, {0, 1024}));
  std::vector<bool> slides(n_layers);
  for (int64_t i = 0; i < n_layers; ++i) slides[i] = i >= n_full;
  TRY(SetOptionalWindows(fields, slides, &spec));
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  return PlanByNames(source, spec, {.matrices = kLlamaMatrices, .vectors = kLlamaVectors});
}

}  // namespace

extern const FamilyCode kQwen2 = {Read, Plan};

}  // namespace lamina::model::families
