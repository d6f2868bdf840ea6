#include "text/end_of_generation.h"

#include <algorithm>

namespace lamina::text {
namespace {

constexpr std::string_view kNames[] = {
    "<|eot_id|>",        // Llama 3
    "<|eom_id|>",        // Llama 3.1, before a tool's answer
    "<|end_of_text|>",   // Llama 3, Granite
    "<|im_end|>",        // ChatML: Qwen, SmolLM, LFM2, Phi-4
    "<|endoftext|>",     // GPT-2 and its heirs
    "<|end|>",           // Phi-3
    "<end_of_turn>",     // Gemma 2 and 3
    "<turn|>",           // Gemma 4
    "<|tool_response>",  // Gemma 4
    "<eos>",             // Gemma
    "</s>",              // Llama 2, Mistral
    "<|return|>",        // harmony
    "<|call|>",          // harmony
    "<EOT>",
    "[EOT]",
    "[EOS]",
    "<end_of_utterance>",
    "<\xEF\xBD\x9C"
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",  // DeepSeek
};

bool IsSpecial(TokenType type) {
  return type == TokenType::kControl || type == TokenType::kUnknown;
}

}  // namespace

bool IsEndOfGenerationName(std::string_view name) {
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

std::vector<TokenId> EndOfGeneration(const Vocabulary& vocabulary, TokenId eos,
                                     const std::vector<TokenId>& further) {
  std::vector<TokenId> ids = further;
  ids.push_back(eos);
  std::erase_if(ids, [&](TokenId id) { return id < 0 || id >= vocabulary.n_tokens(); });
  const bool is_harmony =
      vocabulary.FindAny("<|return|>") >= 0 && vocabulary.FindAny("<|call|>") >= 0;
  for (const std::string_view name : kNames) {
    const TokenId id = vocabulary.FindAny(name);
    if (id < 0 || !IsSpecial(vocabulary.type(id))) continue;
    // Between the channels of one answer, unless the file itself names it.
    if (is_harmony && name == "<|end|>") continue;
    ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace lamina::text
