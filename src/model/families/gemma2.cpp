// Gemma 2: four norms a layer, both softcaps, a window in every other layer.
#include "model/families/gemma.h"

namespace lamina::model::families {
namespace {

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadGemma(fields, 2));
  TRY(SetGemmaScale(fields, 46, &spec));
  TRY(SetRope(fields, &spec));
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  return PlanByNames(
      source, spec,
      {.matrices = kLlamaMatrices, .vectors = kGemmaVectors, .hf_norms_minus_one = true});
}

}  // namespace

extern const FamilyCode kGemma2 = {Read, Plan};

}  // namespace lamina::model::families
