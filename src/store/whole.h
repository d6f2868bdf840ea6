// Whether a model's files are all there.
#pragma once

#include "base/result.h"
#include "store/library.h"

namespace lamina::store {

/// Each file exists with its size; content is verified when it is installed. Errors: kNotFound or
/// kFailedPrecondition for a user's own file that is gone or has changed, kDataLoss for a blob.
Result<> CheckWhole(const ModelInfo& info);

}  // namespace lamina::store
