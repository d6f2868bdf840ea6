#include "cli/sampler_fields.h"

#include <limits>

#include "cli/numbers.h"

namespace lamina::cli {
namespace {

using engine::SamplerOptions;

constexpr SamplerField kFields[] = {
    {"temperature", "--temperature", &SamplerOptions::temperature,
     "0 = always the most probable token; default 0.4"},
    {"top_k", "--top-k", &SamplerOptions::top_k, "Keep the K most probable; 0 = all; default 40"},
    {"top_p", "--top-p", &SamplerOptions::top_p,
     "Keep the most probable that make up this probability; 1 = all; default 0.95"},
    {"min_p", "--min-p", &SamplerOptions::min_p,
     "Keep those at least this part as probable as the best; 0 = all; default 0.05"},
    {"typical_p", "--typical-p", &SamplerOptions::typical_p, "Locally typical; 1 = off"},
    {"repetition_penalty", "--repetition-penalty", &SamplerOptions::repetition_penalty,
     "Divides the logits of recent tokens; 1 = off"},
    {"presence_penalty", "--presence-penalty", &SamplerOptions::presence_penalty,
     "Taken from the logits of recent tokens once; 0 = off"},
    {"frequency_penalty", "--frequency-penalty", &SamplerOptions::frequency_penalty,
     "Taken from them for each time; 0 = off"},
    {"penalty_last_n", "--penalty-last-n", &SamplerOptions::penalty_last_n,
     "What recent means, in tokens; -1 = all; default 64"},
    {"dry_multiplier", "--dry-multiplier", &SamplerOptions::dry_multiplier,
     "DRY against repetitions; 0 = off"},
    {"dry_base", "--dry-base", &SamplerOptions::dry_base, "How fast DRY grows; default 1.75"},
    {"dry_allowed_length", "--dry-allowed-length", &SamplerOptions::dry_allowed_length,
     "Repetitions that DRY leaves alone, in tokens; default 2"},
    {"dry_last_n", "--dry-last-n", &SamplerOptions::dry_last_n, "How far back DRY looks; -1 = all"},
    {"xtc_probability", "--xtc-probability", &SamplerOptions::xtc_probability,
     "How often XTC excludes the top choices; 0 = off"},
    {"xtc_threshold", "--xtc-threshold", &SamplerOptions::xtc_threshold,
     "What XTC takes for a top choice; default 0.1"},
    {"mirostat", "--mirostat", &SamplerOptions::mirostat, "2 = mirostat 2; 0 = off"},
    {"mirostat_tau", "--mirostat-tau", &SamplerOptions::mirostat_tau,
     "Surprise that mirostat aims at, in bits; default 5"},
    {"mirostat_eta", "--mirostat-eta", &SamplerOptions::mirostat_eta,
     "How fast mirostat corrects; default 0.1"},
};

}  // namespace

std::span<const SamplerField> SamplerFields() { return kFields; }

Result<> SetSamplerField(SamplerOptions& options, std::string_view name, std::string_view text) {
  std::string names;
  for (const SamplerField& row : kFields) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
    if (name != row.name) continue;
    if (const auto* real = std::get_if<float SamplerOptions::*>(&row.field)) {
      options.*(*real) = TRY(ParseReal(name, text));
    } else {
      options.*std::get<int SamplerOptions::*>(row.field) = static_cast<int>(TRY(ParseWhole(
          name, text, std::numeric_limits<int>::min(), std::numeric_limits<int>::max())));
    }
    return {};
  }
  return Error(Code::kNotFound, "there is no setting {}; there are {}", name, names);
}

std::string SamplerFieldText(const SamplerOptions& options, const SamplerField& field) {
  if (const auto* real = std::get_if<float SamplerOptions::*>(&field.field)) {
    return fmt::format("{}", options.*(*real));
  }
  return fmt::format("{}", options.*std::get<int SamplerOptions::*>(field.field));
}

Result<> ParseLogitBias(std::string_view text, SamplerOptions& options) {
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, comma);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return Error(Code::kInvalidArgument, "logit_bias has \"{}\"; it must be ID=BIAS", pair);
    }
    const auto id = TRY(ParseWhole("logit_bias's token", pair.substr(0, equals), 0,
                                   std::numeric_limits<int32_t>::max()));
    options.logit_bias.emplace_back(static_cast<int32_t>(id),
                                    TRY(ParseReal("logit_bias", pair.substr(equals + 1))));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {};
}

}  // namespace lamina::cli
