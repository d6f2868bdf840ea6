#include "cli/prompt.h"

namespace lamina::cli {
namespace {

bool EndsWithOpenThink(const std::vector<text::PromptPiece>& pieces) {
  std::string text;
  for (const auto& piece : pieces) text += piece.text;
  const size_t end = text.find_last_not_of(" \n");
  constexpr std::string_view kOpen = "<think>";
  return end != std::string::npos && end + 1 >= kOpen.size() &&
         text.compare(end + 1 - kOpen.size(), kOpen.size(), kOpen) == 0;
}

}  // namespace

Result<Prompt> PromptMaker::Make(const std::vector<text::ChatMessage>& messages) const {
  Prompt prompt;
  if (!template_) {
    prompt.ids = tokenizer_.Encode(messages.back().content,
                                   {.parse_special = parse_special_, .add_bos = true});
    return prompt;
  }
  const auto pieces = TRY(template_->Render(messages, {}));
  prompt.ids = text::EncodePrompt(tokenizer_, pieces);
  prompt.opens_thinking = EndsWithOpenThink(pieces);
  return prompt;
}

}  // namespace lamina::cli
