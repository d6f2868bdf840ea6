#include "cli/text_bench.h"

#include <algorithm>

#include "cli/answer.h"
#include "cli/prompt.h"

namespace lamina::cli {
namespace {

Result<Answer> AnswerWith(const LoadedModel& loaded, const Prompt& prompt, int64_t n_tokens,
                          const engine::SpeculationOptions& speculation) {
  engine::EngineOptions options;
  options.context =
      std::min<int64_t>(std::ssize(prompt.ids) + n_tokens + 1, loaded.model->spec().max_context);
  options.max_sequences = 1;
  options.speculation = speculation;
  const auto engine =
      TRY(engine::Engine::Create(loaded.model, loaded.tokenizer, *loaded.pool, options));
  engine::GenerateOptions generate;
  generate.max_tokens = n_tokens;
  return GenerateAnswer(*engine, prompt.ids, generate, [](std::string_view) {});
}

}  // namespace

Result<TextSpeeds> MeasureTextSpeeds(const LoadedModel& loaded, const std::string& text,
                                     int64_t n_tokens, int n_repetitions,
                                     const engine::SpeculationOptions& speculation) {
  auto chat_template = TRY(LoadChatTemplate(*loaded.source, *loaded.tokenizer));
  const PromptMaker prompts(*loaded.tokenizer, std::move(chat_template), /*parse_special=*/false);
  const Prompt prompt = TRY(prompts.Make({{"user", text}}));
  TRY(AnswerWith(loaded, prompt, 4, {}));  // Pages in and warms up.
  TextSpeeds speeds;
  for (int i = 0; i < n_repetitions; ++i) {
    Answer answers[2];
    for (int j = 0; j < 2; ++j) {
      const bool speculates = (i + j) % 2 == 1;
      Answer& answer = answers[speculates ? 1 : 0];
      answer = TRY(AnswerWith(loaded, prompt, n_tokens,
                              speculates ? speculation : engine::SpeculationOptions()));
      (speculates ? speeds.speculating : speeds.plain)
          .push_back(
              TokensPerSecond(answer.timings.n_generated_tokens - 1, answer.timings.decode_ms));
    }
    if (answers[0].text != answers[1].text) {
      return Error(Code::kInternal, "the answer with speculation differs from the one without");
    }
    const engine::Timings& timings = answers[1].timings;
    speeds.n_prompt_tokens = timings.n_prompt_tokens;
    speeds.n_tokens = timings.n_generated_tokens - 1;
    speeds.n_drafted_tokens = timings.n_drafted_tokens;
    speeds.n_accepted_tokens = timings.n_accepted_tokens;
  }
  return speeds;
}

}  // namespace lamina::cli
