// Reads a tokenizer.json: the big lists as they come, the small rest as a document.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace lamina::text {

struct TokenizerJson {
  std::vector<std::pair<std::string, uint64_t>> vocab;      ///< model.vocab: text, id
  std::vector<std::pair<std::string, std::string>> merges;  ///< model.merges: left, right
};

/// `rest` becomes the whole without model.vocab and model.merges. Memory stays below 32 MiB + 8
/// times the text. Errors: kInvalidArgument with the place or field.
Result<TokenizerJson> ReadTokenizerJson(std::string_view text, nlohmann::json& rest);

}  // namespace lamina::text
