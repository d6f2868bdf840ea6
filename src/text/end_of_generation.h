// Which tokens end an answer.
#pragma once

#include <vector>

#include "text/vocabulary.h"

namespace lamina::text {

/// The ids that end an answer, ascending: `eos`, `further` (what the file names) and control tokens
/// with one of the well-known names. Ids out of range are left out.
std::vector<TokenId> EndOfGeneration(const Vocabulary& vocabulary, TokenId eos,
                                     const std::vector<TokenId>& further);

/// Whether a token of this name ends an answer in every family that has it.
bool IsEndOfGenerationName(std::string_view name);

}  // namespace lamina::text
