// What most often followed the longest end of the text that occurred before.
#pragma once

#include "engine/drafter.h"

namespace lamina::engine {

/// Keeps a suffix automaton of the text (Blumer et al. 1985) that counts occurrences, matches the
/// longest end that occurred before, and drafts the most frequent continuation token by token, as
/// SuffixDecoding (arXiv:2411.04975) does with its tree. Constant time per token, amortized.
Result<std::unique_ptr<Drafter>> MakeSuffixDrafter(const DrafterContext& context);

}  // namespace lamina::engine
