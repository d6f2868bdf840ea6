// The interface of chat templates; text_bridge implements it over minijinja.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace lamina::text {

struct ChatMessage {
  std::string role;     ///< "system", "user", "assistant", "tool".
  std::string content;  ///< Untrusted text.
};

struct ChatOptions {
  bool add_generation_prompt = true;
  /// Further template variables as a JSON object, e.g. {"enable_thinking": false}; "" = none.
  std::string extra_json;
  /// Tool definitions as a JSON array; "" = none.
  std::string tools_json;
};

/// A piece of a rendered prompt. Only the template's own text may name special tokens; what came
/// from a message is encoded as plain text.
struct PromptPiece {
  std::string text;
  bool parse_special;
};

class ChatTemplate {
 public:
  virtual ~ChatTemplate() = default;
  /// Errors: kInvalidArgument with the template's own raise_exception text; kResourceExhausted when
  /// fuel, depth or output run out.
  virtual Result<std::vector<PromptPiece>> Render(const std::vector<ChatMessage>& messages,
                                                  const ChatOptions& options) const = 0;
};

/// Encodes the pieces of one prompt; a beginning-of-sequence token is added where the model asks
/// for one and the template did not write it.
std::vector<TokenId> EncodePrompt(const Tokenizer& tokenizer,
                                  const std::vector<PromptPiece>& pieces);

}  // namespace lamina::text
