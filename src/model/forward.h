// The forward pass of one batch of rows, run by every thread of the pool.
#pragma once

#include "model/step.h"

namespace lamina::model {

/// Rows to logits: embeddings, layers, final norm and head. Returns early, having set step.stop,
/// once *step.cancel is true.
void RunStep(Step& step, int thread);

}  // namespace lamina::model
