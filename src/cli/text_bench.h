// How fast the answer to a text comes, with speculation and without.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/loaded_model.h"
#include "engine/speculation_options.h"

namespace lamina::cli {

struct TextSpeeds {
  int64_t n_prompt_tokens = 0, n_tokens = 0;  ///< The first token of the answer not counted.
  int64_t n_drafted_tokens = 0, n_accepted_tokens = 0;  ///< Of the last answer.
  std::vector<double> plain, speculating;               ///< Tokens per second, in turn.
};

/// Answers `text` greedily, through the chat template where there is one, with at most n_tokens
/// tokens: without and with speculation in turn, each time by a new engine, which has learned
/// nothing. Errors: kInternal where the two answers differ.
Result<TextSpeeds> MeasureTextSpeeds(const LoadedModel& loaded, const std::string& text,
                                     int64_t n_tokens, int n_repetitions,
                                     const engine::SpeculationOptions& speculation);

}  // namespace lamina::cli
