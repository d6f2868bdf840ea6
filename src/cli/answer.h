// One answer, driven from prompt to end.
#pragma once

#include <string>
#include <vector>

#include "base/function_ref.h"
#include "engine/engine.h"

namespace lamina::cli {

struct Answer {
  std::string text;
  engine::FinishReason reason = engine::FinishReason::kError;
  engine::Timings timings;
};

/// Runs a request to its end; Ctrl-C cancels it, and what came before stands. `on_text` gets the
/// text as it comes. Errors: those of Submit, and the request's own.
Result<Answer> GenerateAnswer(engine::Engine& engine, std::vector<int32_t> prompt,
                              const engine::GenerateOptions& options,
                              FunctionRef<void(std::string_view)> on_text);

/// Says on stderr that an answer ended because prompt and answer filled the context.
void SayIfContextIsFull(const Answer& answer, int64_t context);

double TokensPerSecond(int64_t n_tokens, double ms);

/// "64 tokens at 180.2 tokens/s (30 of 34 drafted ones right); prompt 30 tokens (12 known) in 41
/// ms; context 94 of 4096 (2%)".
std::string Describe(const engine::Timings& timings, int64_t context);

}  // namespace lamina::cli
