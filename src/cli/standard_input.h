// Standard input as text.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lamina::cli {

/// All of standard input. Errors: kResourceExhausted above `max_bytes`.
Result<std::string> ReadStandardInput(uint64_t max_bytes = 256 << 20);

/// Whitespace-separated decimal token ids below n_vocab. `what` names the source in errors.
Result<std::vector<int32_t>> ParseIds(const std::string& text, int64_t n_vocab, const char* what);

}  // namespace lamina::cli
