// The model families that Lamina runs: configuration and tensor names of either format to ModelSpec
// and TensorPlan.
#pragma once

#include <string_view>

#include "base/result.h"
#include "format/model_source.h"
#include "model/spec.h"
#include "model/weights.h"

namespace lamina::model {

/// The specification of a model, validated: widths, heads and windows are in the ranges that the
/// forward pass takes unchecked. Errors: kUnimplemented names the architecture and those supported;
/// kInvalidArgument and kNotFound name the field.
Result<ModelSpec> ReadSpec(const format::ModelSource& source);

/// The tensors of a model whose specification is `spec`. The plan points into `source`. Errors:
/// kInvalidArgument names a missing tensor.
Result<TensorPlan> PlanTensors(const format::ModelSource& source, const ModelSpec& spec);

}  // namespace lamina::model
