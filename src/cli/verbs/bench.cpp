#include <algorithm>

#include "base/file.h"
#include "cli/json_output.h"
#include "cli/loaded_model.h"
#include "cli/machine.h"
#include "cli/measure.h"
#include "cli/options.h"
#include "cli/profile_report.h"
#include "cli/speculation_flags.h"
#include "cli/terminal.h"
#include "cli/text_bench.h"
#include "cli/verbs.h"

namespace lamina::cli {
namespace {

constexpr int64_t kMostTokens = 1 << 24;
constexpr uint64_t kMostTextBytes = 1 << 20;
constexpr int64_t kTemplateTokens = 256;  // Of a chat template, at most about so many.

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

class Bench : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("MODEL", &model_, "Which model");
    options.Number("-p,--prompt-tokens", &n_prompt_, 0, kMostTokens,
                   "Tokens of the prompts; 0 = no prefill; default 512");
    options.Number("-n,--tokens", &n_tokens_, 0, kMostTokens,
                   "Tokens to generate; 0 = no decode; default 128");
    options.Number("-r,--repetitions", &n_repetitions_, 1, 1000, "Default 3");
    options.Number("--depth", &depth_, 0, kMostTokens,
                   "Tokens before the generated ones; default 0");
    options.Number("--batch", &batch_, 1, 64, "Sequences that decode at once; default 1");
    options.Flag("--profile", &with_profile_, "Also where a token's time goes, per operation");
    options.Text("--text", &text_path_,
                 "Measure decoding on the answer to this file's text instead, with and without "
                 "--speculate in turn",
                 "FILE");
    compute_.Define(options);
    speculation_.Define(options);
    options.Flag("--json", &json_, "One JSON object");
  }

  Result<int> Run(const Context&) override {
    if (const auto valid = speculation_.Check(); !valid) {
      return UsageError(valid.error().message());
    }
    if (!text_path_.empty()) return MeasureText();
    compute_.context = std::max(n_prompt_ + 2, depth_ + n_tokens_ + 4);
    model::Profile profile;
    if (with_profile_) compute_.profile = &profile;
    const LoadedModel loaded = TRY(LoadModel(model_, compute_));
    if (compute_.context > loaded.model->spec().max_context) {
      return UsageError(fmt::format(
          "a prompt of {} tokens, or {} after a depth of {}, exceeds the model's context of {}",
          n_prompt_, n_tokens_, depth_, loaded.model->spec().max_context));
    }
    StatusLine status;
    status.Show("measuring");
    const double before = TRY(MeasureReadBandwidth(*loaded.pool));
    SpeedMeter meter = TRY(SpeedMeter::Create(loaded, compute_.context, batch_, compute_.profile));
    std::vector<double> prefill;
    if (n_prompt_ > 0) prefill = TRY(meter.Prefill(n_prompt_, n_repetitions_));
    const model::Profile prefill_profile = profile;
    profile.Clear();
    DecodeSpeed decode;
    if (n_tokens_ > 0) decode = TRY(meter.Decode(n_tokens_, depth_, batch_, n_repetitions_));
    const uint64_t rss_bytes = ProportionalSetBytes();
    const double after = TRY(MeasureReadBandwidth(*loaded.pool));
    status.Clear();

    if (json_) {
      Json json;
      json["model"] = model_;
      json["isa"] = loaded.model->isa();
      json["threads"] = loaded.pool->n_threads();
      json["kv"] = loaded.model->kv_type();
      json["load_ms"] = loaded.load_ms;
      json["rss_bytes"] = rss_bytes;
      json["read_gb_per_s"] = {before, after};
      json["prefill"] = {{"n", n_prompt_}, {"tokens_per_s", prefill}};
      json["decode"] = {{"n", n_tokens_},
                        {"depth", depth_},
                        {"batch", batch_},
                        {"tokens_per_s", decode.tokens_per_s},
                        {"gb_per_s", decode.gb_per_s}};
      if (with_profile_) {
        json["profile"] = {{"prefill", ProfileJson(prefill_profile)},
                           {"decode", ProfileJson(profile)}};
      }
      PrintJson(json);
      return kDone;
    }
    fmt::print("{}: {}, {} threads, keys and values {}\n", model_, loaded.model->isa(),
               loaded.pool->n_threads(), loaded.model->kv_type());
    fmt::print("load     {:8.0f} ms, memory {}\n", loaded.load_ms, HumanBytes(rss_bytes));
    if (n_prompt_ > 0) {
      fmt::print("prefill  {:8.1f} tokens/s  ({} tokens, median of {})\n", Median(prefill),
                 n_prompt_, n_repetitions_);
    }
    if (n_tokens_ > 0) {
      fmt::print("decode   {:8.1f} tokens/s  ({} tokens at depth {}, {} at once, median of {})\n",
                 Median(decode.tokens_per_s), n_tokens_, depth_, batch_, n_repetitions_);
      fmt::print("reading  {:8.1f} GB/s of {:.1f} before and {:.1f} after\n",
                 Median(decode.gb_per_s), before, after);
    }
    PrintProfile("prefill", prefill_profile);
    PrintProfile("decode", profile);
    return kDone;
  }

 private:
  // Random tokens repeat nothing and their answers soon run in circles: what speculation is worth
  // shows on texts alone.
  Result<int> MeasureText() {
    const std::string text = TRY(ReadFile(text_path_, kMostTextBytes));
    compute_.context = static_cast<int64_t>(text.size()) + kTemplateTokens + n_tokens_;
    const LoadedModel loaded = TRY(LoadModel(model_, compute_));
    const auto speculation = TRY(speculation_.Load(loaded, compute_));
    const TextSpeeds speeds =
        TRY(MeasureTextSpeeds(loaded, text, n_tokens_, n_repetitions_, speculation));
    if (json_) {
      Json json;
      json["model"] = model_;
      json["isa"] = loaded.model->isa();
      json["threads"] = loaded.pool->n_threads();
      json["speculate"] = speculation_.mode();
      json["prompt_tokens"] = speeds.n_prompt_tokens;
      json["decode"] = {{"n", speeds.n_tokens},
                        {"tokens_per_s", speeds.speculating},
                        {"plain_tokens_per_s", speeds.plain},
                        {"drafted_tokens", speeds.n_drafted_tokens},
                        {"accepted_tokens", speeds.n_accepted_tokens}};
      PrintJson(json);
      return kDone;
    }
    const double plain = Median(speeds.plain), speculating = Median(speeds.speculating);
    fmt::print(
        "decode {} tokens after {}: {:.1f} tokens/s without speculation, {:.1f} with {}: "
        "{:.2f}x; {} of {} drafted tokens right\n",
        speeds.n_tokens, speeds.n_prompt_tokens, plain, speculating, speculation_.mode(),
        plain > 0 ? speculating / plain : 0, speeds.n_accepted_tokens, speeds.n_drafted_tokens);
    return kDone;
  }

  std::string model_, text_path_;
  SpeculationFlags speculation_{"off"};
  int64_t n_prompt_ = 512, n_tokens_ = 128, depth_ = 0;
  int n_repetitions_ = 3, batch_ = 1;
  ComputeOptions compute_;
  bool json_ = false, with_profile_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeBench() { return std::make_unique<Bench>(); }

}  // namespace lamina::cli
