// From messages to the tokens of a prompt.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lamina::cli {

struct Prompt {
  std::vector<text::TokenId> ids;
  bool opens_thinking = false;  ///< The template wrote <think>: the answer begins inside.
};

/// Without a template the last message is text to be completed.
class PromptMaker {
 public:
  PromptMaker(const text::Tokenizer& tokenizer, std::unique_ptr<text::ChatTemplate> chat_template,
              bool parse_special)
      : tokenizer_(tokenizer), template_(std::move(chat_template)), parse_special_(parse_special) {}

  Result<Prompt> Make(const std::vector<text::ChatMessage>& messages) const;
  bool has_template() const { return template_ != nullptr; }

 private:
  const text::Tokenizer& tokenizer_;
  std::unique_ptr<text::ChatTemplate> template_;
  bool parse_special_;
};

}  // namespace lamina::cli
