// Chat templates over the bridge to minijinja.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lamina::text_bridge {

/// Compiles a Jinja chat template, untrusted, as a model brings it. The tokenizer gives the texts
/// of bos_token and eos_token and the special tokens that message content cannot forge
/// (docs/adr/0004); it is not kept. The template is immutable and safe from any thread.
/// Errors: kInvalidArgument with the line of a syntax error, or the bound that the source exceeds.
Result<std::unique_ptr<text::ChatTemplate>> CreateChatTemplate(std::string source,
                                                               const text::Tokenizer& tokenizer);

}  // namespace lamina::text_bridge
