// Llama 1 to 3.3, SmolLM 1 and 2, Mistral 7B and Mixtral: one GGUF architecture.
#include "model/families/common.h"

namespace lamina::model::families {
namespace {

Result<ModelSpec> Read(const Fields& fields) {
  ModelSpec spec = TRY(ReadBase(fields));
  TRY(SetRope(fields, &spec));
  TRY(SetWindowEverywhere(fields, &spec));
  TRY(ReadExperts(fields, &spec));
  return spec;
}

Result<TensorPlan> Plan(const format::ModelSource& source, const ModelSpec& spec) {
  TensorPlan plan = TRY(PlanLlama(source, spec));
  TRY(PlanExperts(source, spec,
                  {.hf_router = "block_sparse_moe.gate.weight",
                   .hf_gate = "block_sparse_moe.experts.{}.w1.weight",
                   .hf_up = "block_sparse_moe.experts.{}.w3.weight",
                   .hf_down = "block_sparse_moe.experts.{}.w2.weight"},
                  &plan));
  return plan;
}

}  // namespace

extern const FamilyCode kLlama = {Read, Plan};

}  // namespace lamina::model::families
