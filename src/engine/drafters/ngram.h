// Prompt lookup: what followed the last occurrence of the text's last few tokens.
#pragma once

#include "engine/drafter.h"

namespace lamina::engine {

/// Finds the latest earlier occurrence of the last 4 tokens, else of 3, of 2, of 1, and drafts what
/// followed it (prompt lookup decoding, A. Saxena 2023). Constant time per token.
Result<std::unique_ptr<Drafter>> MakeNgramDrafter(const DrafterContext& context);

}  // namespace lamina::engine
