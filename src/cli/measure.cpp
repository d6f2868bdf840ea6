#include "cli/measure.h"

#include <algorithm>

#include "cli/answer.h"
#include "engine/random.h"

namespace lamina::cli {
namespace {

class TimingSink : public engine::TokenSink {
 public:
  void OnText(std::string_view, int32_t) override {}
  void OnFinish(engine::FinishReason, const Status& error,
                const engine::Timings& measured) override {
    status = error;
    timings = measured;
    finished = true;
  }
  Status status;
  engine::Timings timings;
  bool finished = false;
};

}  // namespace

Result<SpeedMeter> SpeedMeter::Create(const LoadedModel& loaded, int64_t context, int n_sequences,
                                      model::Profile* profile) {
  SpeedMeter meter(loaded);
  meter.profile_ = profile;
  engine::EngineOptions options;
  options.context = context;
  options.max_sequences = n_sequences;
  options.profile = profile;
  meter.engine_ =
      TRY(engine::Engine::Create(loaded.model, loaded.tokenizer, *loaded.pool, options));
  return meter;
}

std::vector<int32_t> SpeedMeter::RandomIds(int64_t n) {
  engine::Random random(++n_prompts_);
  const auto n_vocab = static_cast<uint64_t>(loaded_->model->spec().n_vocab);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.Next() % n_vocab);
  return ids;
}

Result<std::vector<engine::Timings>> SpeedMeter::Run(
    const std::vector<std::vector<int32_t>>& prompts, int64_t n_tokens) {
  engine::GenerateOptions options;
  options.max_tokens = n_tokens;
  options.ignore_eos = true;
  std::vector<TimingSink> sinks(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    options.cache_scope = i + 1;
    TRY(engine_->Submit(prompts[i], options, &sinks[i]));
  }
  while (engine_->Step()) {
  }
  std::vector<engine::Timings> timings;
  for (const TimingSink& sink : sinks) {
    if (!sink.status.ok()) return Error(sink.status);
    timings.push_back(sink.timings);
  }
  return timings;
}

Result<std::vector<engine::Timings>> SpeedMeter::RunProfiled(
    const std::vector<std::vector<int32_t>>& prompts, int64_t n_tokens) {
  if (profile_ != nullptr) profile_->Start();
  auto timings = Run(prompts, n_tokens);
  if (profile_ != nullptr) profile_->Stop();
  return timings;
}

Result<std::vector<double>> SpeedMeter::Prefill(int64_t n_tokens, int n_repetitions) {
  std::vector<double> speeds;
  TRY(Run({RandomIds(std::min<int64_t>(n_tokens, 32))}, 1));  // Pages in and warms up.
  if (profile_ != nullptr) profile_->Clear();
  for (int i = 0; i < n_repetitions; ++i) {
    const auto timings = TRY(RunProfiled({RandomIds(n_tokens)}, 1));
    speeds.push_back(TokensPerSecond(n_tokens - timings[0].n_cached_tokens, timings[0].prefill_ms));
  }
  return speeds;
}

Result<DecodeSpeed> SpeedMeter::Decode(int64_t n_tokens, int64_t depth, int n_sequences,
                                       int n_repetitions) {
  DecodeSpeed speed;
  TRY(Run({RandomIds(1)}, 4));
  if (profile_ != nullptr) profile_->Clear();
  for (int i = 0; i < n_repetitions; ++i) {
    std::vector<std::vector<int32_t>> prompts;
    prompts.reserve(static_cast<size_t>(n_sequences));
    for (int j = 0; j < n_sequences; ++j) prompts.push_back(RandomIds(depth));
    // The depth first, so that all sequences then begin their answers in the same step.
    if (depth > 0) TRY(Run(prompts, 1));
    for (auto& prompt : prompts) prompt.push_back(RandomIds(1)[0]);
    // The first token comes with the prompt; n more are what is measured.
    const double ms = TRY(RunProfiled(prompts, n_tokens + 1))[0].decode_ms;
    const double steps_per_s = TokensPerSecond(n_tokens, ms);
    speed.tokens_per_s.push_back(steps_per_s * n_sequences);
    const int64_t middle = depth + 1 + n_tokens / 2;
    const auto bytes_alone = static_cast<double>(loaded_->model->bytes_per_token(middle));
    const auto bytes_weights = static_cast<double>(loaded_->model->bytes_per_token(0));
    const double bytes_per_step = bytes_weights + (bytes_alone - bytes_weights) * n_sequences;
    speed.gb_per_s.push_back(bytes_per_step * steps_per_s / 1e9);
  }
  return speed;
}

}  // namespace lamina::cli
