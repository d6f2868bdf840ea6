// A smaller model guesses.
#pragma once

#include "engine/drafter.h"
#include "text/tokenizer.h"

namespace lamina::engine {

/// Drafts the most probable tokens of a smaller model (arXiv:2211.17192, 2302.01318), one step of
/// it per token. The class is the distance of its best two logits. Errors: kResourceExhausted.
Result<std::unique_ptr<Drafter>> MakeDraftModelDrafter(const DrafterContext& context);
std::span<const float> DraftModelPriors();

/// Whether two vocabularies give ids the same meaning, as far as both reach: a padded one may be
/// longer. Errors: kInvalidArgument names a token that differs.
Result<> CheckSameVocabulary(const text::Tokenizer& model, const text::Tokenizer& draft);

}  // namespace lamina::engine
