#include "text/chat_template.h"

namespace lamina::text {

std::vector<TokenId> EncodePrompt(const Tokenizer& tokenizer,
                                  const std::vector<PromptPiece>& pieces) {
  // One text, so that it splits as the model was trained on; special tokens only where the
  // template wrote them, and none that the template began and a message completed.
  std::string text;
  std::vector<TextSpan> special;
  for (const PromptPiece& piece : pieces) {
    const size_t begin = text.size();
    text += piece.text;
    if (!piece.parse_special || piece.text.empty()) continue;
    if (!special.empty() && special.back().end == begin) {
      special.back().end = text.size();
    } else {
      special.push_back({begin, text.size()});
    }
  }
  std::vector<TokenId> ids = tokenizer.EncodeSpans(text, special, /*add_bos=*/true);
  if (tokenizer.adds_bos() && ids.size() > 1 && ids[1] == tokenizer.bos()) ids.erase(ids.begin());
  return ids;
}

}  // namespace lamina::text
