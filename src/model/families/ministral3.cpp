// Ministral 3: Llama with YaRN and queries that grow with the logarithm of the position.
#include "model/families/common.h"

namespace lamina::model::families {
namespace {

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadBase(fields));
  TRY(SetRope(fields, &spec));
  TRY(SetWindowEverywhere(fields, &spec));
  const Field beta = {"attention.temperature_scale", "rope_parameters.llama_4_scaling_beta"};
  spec.query_log_beta = static_cast<float>(TRY(fields.FloatOr(beta, 0.0, 0.0, 1e3)));
  if (spec.query_log_beta != 0) {
    const Field original = {"rope.scaling.original_context_length",
                            "rope_parameters.original_max_position_embeddings"};
    spec.query_log_original = TRY(fields.Int(original, {1, int64_t{1} << 31}));
  }
  return spec;
}

}  // namespace

extern const FamilyCode kMinistral3 = {Read, PlanLlama};

}  // namespace lamina::model::families
