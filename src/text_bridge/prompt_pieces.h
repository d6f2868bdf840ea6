// From a marked prompt to the pieces that a tokenizer encodes.
#pragma once

#include <vector>

#include "text/chat_template.h"
#include "text_bridge/content_marks.h"

namespace lamina::text_bridge {

/// Cuts a prompt so that special tokens are read only where the template wrote them. Text between
/// two of them stays in one piece, because tokens of plain text may span what template and message
/// wrote.
std::vector<text::PromptPiece> SplitPrompt(const SpecialTokens& tokens, const Unmarked& prompt);

/// Marks control tokens of `prompt` that `safe`, the same conversation with nothing of the
/// messages unmarked, does not have: a message wrote them.
/// Returns their number.
int MarkUnexpected(const SpecialTokens& tokens, const std::vector<bool>& is_control,
                   const Unmarked& safe, Unmarked& prompt);

}  // namespace lamina::text_bridge
