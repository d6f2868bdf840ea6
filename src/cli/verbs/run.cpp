#include <sys/random.h>

#include <limits>

#include "cli/answer.h"
#include "cli/chat.h"
#include "cli/json_output.h"
#include "cli/loaded_model.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "cli/sampler_fields.h"
#include "cli/speculation_flags.h"
#include "cli/standard_input.h"
#include "cli/terminal.h"
#include "cli/think_dimmer.h"
#include "cli/verbs.h"

namespace lamina::cli {
namespace {

// Small models lose the thread at higher temperatures.
constexpr float kDefaultTemperature = 0.4f;

uint64_t RandomSeed() {
  uint32_t seed = 0;  // Short enough to be typed again.
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return 0;
  return seed;
}

// Tokens that DRY does not carry a repetition across: those with a line's end or a quote.
std::vector<int32_t> DryBreakers(const text::Tokenizer& tokenizer) {
  std::vector<int32_t> breakers;
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    if (tokenizer.TokenBytes(id).find_first_of("\n:\"*") != std::string::npos) {
      breakers.push_back(id);
    }
  }
  return breakers;
}

class RunModel : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("MODEL", &model_, "Which model");
    options.Arguments("PROMPT", &prompt_,
                      "What to answer; without it standard input is read, or on a terminal a chat "
                      "begins; a last - puts standard input after it");
    options.Text("--system", &system_, "System message");
    options.Flag("--raw", &raw_, "No chat template: complete the prompt as it is");
    options.Flag("--special", &special_, "With --raw: read special tokens in the prompt");
    for (const SamplerField& row : SamplerFields()) {
      if (const auto* real = std::get_if<float engine::SamplerOptions::*>(&row.field)) {
        options.Number(row.flags, &(sampler_.*(*real)), row.help);
      } else {
        options.Number(row.flags, &(sampler_.*std::get<int engine::SamplerOptions::*>(row.field)),
                       std::numeric_limits<int>::min(), std::numeric_limits<int>::max(), row.help);
      }
    }
    options.Text("--logit-bias", &logit_bias_, "Added to logits: ID=BIAS,ID=BIAS; -inf bans",
                 "LIST");
    options.Number("--seed", &seed_, "Repeats a text; default: another one each time");
    options.Number("-n,--max-tokens", &max_tokens_, -1, std::numeric_limits<int64_t>::max(),
                   "Most tokens of an answer; -1 = until the context is full");
    options.Texts("--stop", &stop_, "End the answer before this text");
    options.Number("-c,--ctx", &compute_.context, 0, std::numeric_limits<int32_t>::max(),
                   "Context in tokens; default: the model's, at most 4096");
    compute_.Define(options);
    speculation_.Define(options);
    options.Flag("--stats", &stats_, "Speed and context use on stderr at the end");
    options.Flag("--no-history", &no_history_, "Do not keep inputs of the chat for the next one");
    options.Flag("--json", &json_, "One JSON object: text, finish_reason, usage, timings");
  }

  Result<int> Run(const Context&) override {
    sampler_.seed = seed_.value_or(RandomSeed());
    if (const auto bias = ParseLogitBias(logit_bias_, sampler_); !bias) {
      return UsageError(bias.error().message());
    }
    if (const auto valid = engine::Validate(sampler_, std::numeric_limits<int32_t>::max());
        !valid) {
      return UsageError(valid.error().message());
    }
    if (const auto valid = speculation_.Check(); !valid) {
      return UsageError(valid.error().message());
    }
    for (const std::string& text : stop_) {
      if (text.empty()) return UsageError("stop has an empty text");
    }
    // Without a terminal to write to, a typed prompt is read to its end as a piped one is.
    const bool types = prompt_.empty() && IsTerminal(stdin);
    const bool chats = types && IsTerminal(stdout);
    if (types && json_) return UsageError("--json needs a PROMPT, or text on standard input");
    if (types && !chats) fmt::print(stderr, "reading the prompt; Ctrl-D ends it\n");
    std::string input;
    if (!chats) input = TRY(Input());

    const LoadedModel loaded = TRY(LoadModel(model_, compute_));
    std::unique_ptr<text::ChatTemplate> chat_template;
    if (!raw_) {
      chat_template = TRY(LoadChatTemplate(*loaded.source, *loaded.tokenizer));
      if (!chat_template) {
        fmt::print(stderr, "{} has no chat template: it completes text\n", model_);
      }
    }
    if (!chat_template && !system_.empty()) {
      return UsageError("--system needs a chat template, and there is none");
    }
    const PromptMaker prompts(*loaded.tokenizer, std::move(chat_template), special_);
    engine::EngineOptions engine_options;
    engine_options.context = compute_.context;
    engine_options.max_sequences = 1;
    engine_options.speculation = TRY(speculation_.Load(loaded, compute_));
    const auto engine =
        TRY(engine::Engine::Create(loaded.model, loaded.tokenizer, *loaded.pool, engine_options));
    if (sampler_.dry_multiplier > 0) sampler_.dry_breakers = DryBreakers(*loaded.tokenizer);
    engine::GenerateOptions generate;
    generate.sampler = sampler_;
    generate.max_tokens = max_tokens_;
    generate.stop = stop_;
    generate.continues_text = !prompts.has_template();
    if (chats) {
      return Chat(*engine, prompts, {system_, generate, stats_, !no_history_}).Run();
    }
    return AnswerOnce(*engine, prompts, generate, input, loaded.load_ms);
  }

 private:
  Result<std::string> Input() {
    if (prompt_.empty()) return ReadStandardInput();
    const bool reads = prompt_.back() == "-";
    if (reads) prompt_.pop_back();
    std::string input;
    for (const std::string& word : prompt_) input += (input.empty() ? "" : " ") + word;
    if (reads) input += (input.empty() ? "" : "\n\n") + TRY(ReadStandardInput());
    return input;
  }

  Result<int> AnswerOnce(engine::Engine& engine, const PromptMaker& prompts,
                         const engine::GenerateOptions& generate, const std::string& input,
                         double load_ms) {
    std::vector<text::ChatMessage> messages;
    if (!system_.empty()) messages.push_back({"system", system_});
    messages.push_back({"user", input});
    Prompt prompt = TRY(prompts.Make(messages));
    ThinkDimmer dimmer(HasColor(stdout), prompt.opens_thinking);
    const auto write = [&](const std::string& text) {
      if (json_) return;
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    };
    const auto answer =
        TRY(GenerateAnswer(engine, std::move(prompt.ids), generate,
                           [&](std::string_view text) { write(dimmer.Push(Shown(text))); }));
    write(dimmer.Finish());
    write("\n");
    SayIfContextIsFull(answer, engine.context());
    if (json_) PrintAnswerJson(answer, load_ms);
    if (stats_) {
      fmt::print(stderr, "{}\n", Dim(Describe(answer.timings, engine.context()), HasColor(stderr)));
    }
    return answer.reason == engine::FinishReason::kCancelled ? kFailed : kDone;
  }

  void PrintAnswerJson(const Answer& answer, double load_ms) const {
    const engine::Timings& timings = answer.timings;
    Json json;
    json["model"] = model_;
    json["text"] = answer.text;
    json["finish_reason"] = engine::FinishReasonName(answer.reason);
    json["usage"] = {{"prompt_tokens", timings.n_prompt_tokens},
                     {"cached_tokens", timings.n_cached_tokens},
                     {"completion_tokens", timings.n_generated_tokens},
                     {"total_tokens", timings.n_prompt_tokens + timings.n_generated_tokens}};
    json["timings"] = {
        {"load_ms", load_ms},
        {"prefill_ms", timings.prefill_ms},
        {"decode_ms", timings.decode_ms},
        {"prefill_tokens_per_s",
         TokensPerSecond(timings.n_prompt_tokens - timings.n_cached_tokens, timings.prefill_ms)},
        {"decode_tokens_per_s", TokensPerSecond(timings.n_generated_tokens - 1, timings.decode_ms)},
        {"drafted_tokens", timings.n_drafted_tokens},
        {"accepted_tokens", timings.n_accepted_tokens}};
    json["seed"] = sampler_.seed;
    PrintJson(json);
  }

  static engine::SamplerOptions Defaults() {
    engine::SamplerOptions options;
    options.temperature = kDefaultTemperature;
    return options;
  }

  std::string model_, system_, logit_bias_;
  std::vector<std::string> prompt_, stop_;
  engine::SamplerOptions sampler_ = Defaults();
  std::optional<uint64_t> seed_;
  int64_t max_tokens_ = -1;
  ComputeOptions compute_;
  SpeculationFlags speculation_{"auto"};
  bool raw_ = false, special_ = false, stats_ = false, no_history_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeRun() { return std::make_unique<RunModel>(); }

}  // namespace lamina::cli
