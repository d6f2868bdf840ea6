#include <cmath>
#include <string_view>

#include "engine/sampler.h"

namespace lamina::engine {
namespace {

// A float field that must lie in [least, most]; NaN does not.
Result<> InRange(std::string_view field, float value, float least, float most) {
  if (value >= least && value <= most) return {};
  return Error(Code::kInvalidArgument, "{} is {}; it must be from {} to {}", field, value, least,
               most);
}

Result<> AtLeast(std::string_view field, int value, int least) {
  if (value >= least) return {};
  return Error(Code::kInvalidArgument, "{} is {}; it must be at least {}", field, value, least);
}

}  // namespace

Result<> Validate(const SamplerOptions& options, int64_t n_vocab) {
  TRY(InRange("temperature", options.temperature, 0, 100));
  TRY(AtLeast("top_k", options.top_k, 0));
  TRY(InRange("top_p", options.top_p, 0, 1));
  TRY(InRange("min_p", options.min_p, 0, 1));
  TRY(InRange("typical_p", options.typical_p, 0, 1));
  TRY(InRange("repetition_penalty", options.repetition_penalty, 0.01f, 100));
  TRY(InRange("presence_penalty", options.presence_penalty, -100, 100));
  TRY(InRange("frequency_penalty", options.frequency_penalty, -100, 100));
  TRY(AtLeast("penalty_last_n", options.penalty_last_n, -1));
  TRY(InRange("dry_multiplier", options.dry_multiplier, 0, 100));
  TRY(InRange("dry_base", options.dry_base, 1, 100));
  TRY(AtLeast("dry_allowed_length", options.dry_allowed_length, 1));
  TRY(AtLeast("dry_last_n", options.dry_last_n, -1));
  for (int32_t id : options.dry_breakers) {
    if (id < 0 || id >= n_vocab) {
      return Error(Code::kInvalidArgument, "dry_breakers has token {}; the vocabulary is 0 to {}",
                   id, n_vocab - 1);
    }
  }
  TRY(InRange("xtc_probability", options.xtc_probability, 0, 1));
  TRY(InRange("xtc_threshold", options.xtc_threshold, 0, 1));
  if (options.mirostat != 0 && options.mirostat != 2) {
    return Error(Code::kInvalidArgument, "mirostat is {}; it must be 0 (off) or 2",
                 options.mirostat);
  }
  TRY(InRange("mirostat_tau", options.mirostat_tau, 0, 100));
  TRY(InRange("mirostat_eta", options.mirostat_eta, 0, 10));
  for (const auto& [id, bias] : options.logit_bias) {
    if (id < 0 || id >= n_vocab) {
      return Error(Code::kInvalidArgument, "logit_bias has token {}; the vocabulary is 0 to {}", id,
                   n_vocab - 1);
    }
    if (bias == -INFINITY) continue;
    TRY(InRange("logit_bias", bias, -10000, 10000));
  }
  return {};
}

}  // namespace lamina::engine
