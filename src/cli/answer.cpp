#include "cli/answer.h"

#include <fmt/core.h>

#include "cli/interrupt.h"
#include "cli/terminal.h"

namespace lamina::cli {
namespace {

class Sink : public engine::TokenSink {
 public:
  explicit Sink(FunctionRef<void(std::string_view)> on_text) : on_text_(on_text) {}

  void OnText(std::string_view text, int32_t) override {
    if (text.empty()) return;
    answer.text += text;
    on_text_(text);
  }
  void OnFinish(engine::FinishReason reason, const Status& error,
                const engine::Timings& timings) override {
    answer.reason = reason;
    answer.timings = timings;
    status = error;
    finished = true;
  }

  Answer answer;
  Status status;
  bool finished = false;

 private:
  FunctionRef<void(std::string_view)> on_text_;
};

}  // namespace

Result<Answer> GenerateAnswer(engine::Engine& engine, std::vector<int32_t> prompt,
                              const engine::GenerateOptions& options,
                              FunctionRef<void(std::string_view)> on_text) {
  Sink sink(on_text);
  const auto id = TRY(engine.Submit(std::move(prompt), options, &sink));
  const Interrupt interrupt([&] { engine.Cancel(id); });
  while (!sink.finished) engine.Step();
  if (sink.answer.reason == engine::FinishReason::kError) return Error(sink.status);
  return std::move(sink.answer);
}

void SayIfContextIsFull(const Answer& answer, int64_t context) {
  const engine::Timings& timings = answer.timings;
  if (answer.reason != engine::FinishReason::kLength ||
      timings.n_prompt_tokens + timings.n_generated_tokens < context) {
    return;
  }
  fmt::print(stderr, "{}\n",
             Dim(fmt::format("the context of {} tokens is full: the answer ends here", context),
                 HasColor(stderr)));
}

double TokensPerSecond(int64_t n_tokens, double ms) {
  return ms > 0 && n_tokens > 0 ? static_cast<double>(n_tokens) * 1000 / ms : 0;
}

std::string Describe(const engine::Timings& timings, int64_t context) {
  const int64_t n_used = timings.n_prompt_tokens + timings.n_generated_tokens;
  // The first token comes out of the prompt's last step.
  const double rate = TokensPerSecond(timings.n_generated_tokens - 1, timings.decode_ms);
  std::string known;
  if (timings.n_cached_tokens > 0) known = fmt::format(" ({} known)", timings.n_cached_tokens);
  std::string drafted;
  if (timings.n_drafted_tokens > 0) {
    drafted = fmt::format(" ({} of {} drafted ones right)", timings.n_accepted_tokens,
                          timings.n_drafted_tokens);
  }
  return fmt::format(
      "{} tokens at {:.1f} tokens/s{}; prompt {} tokens{} in {:.0f} ms; context {} of {} ({}%)",
      timings.n_generated_tokens, rate, drafted, timings.n_prompt_tokens, known, timings.prefill_ms,
      n_used, context, 100 * n_used / context);
}

}  // namespace lamina::cli
