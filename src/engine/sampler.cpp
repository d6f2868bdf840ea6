#include "engine/sampler.h"

#include <algorithm>
#include <limits>

#include "engine/candidates.h"
#include "engine/penalties.h"
#include "engine/random.h"

namespace lamina::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The greatest logit, or NaN where one is NaN; eight lanes, so that a compiler uses vectors.
float Greatest(std::span<const float> logits) {
  constexpr size_t kLanes = 8;
  float best[kLanes];
  bool is_nan[kLanes] = {};
  std::fill(best, best + kLanes, -kInfinity);
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float x = logits[i + lane];
      best[lane] = x > best[lane] ? x : best[lane];
      is_nan[lane] |= x != x;
    }
  }
  for (; i < logits.size(); ++i) {
    best[0] = logits[i] > best[0] ? logits[i] : best[0];
    is_nan[0] |= logits[i] != logits[i];
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    if (is_nan[lane]) return std::numeric_limits<float>::quiet_NaN();
  }
  return *std::max_element(best, best + kLanes);
}

class SamplerImpl : public Sampler {
 public:
  SamplerImpl(const SamplerOptions& options, int64_t n_vocab)
      : options_(options),
        random_(options.seed),
        penalties_(options_, n_vocab),
        // Greedy needs no candidates, and a server runs many sequences.
        candidates_(options.temperature > 0 ? n_vocab : 0),
        mirostat_mu_(2 * options.mirostat_tau) {}

  Result<int32_t> Sample(std::span<float> logits, std::span<const int32_t> history) override {
    const float raw = Greatest(logits);
    if (!(raw < kInfinity)) {
      return Error(Code::kInvalidArgument, "the model's logits contain {}",
                   raw == kInfinity ? "infinity" : "NaN");
    }
    if (raw == -kInfinity) {
      return Error(Code::kInvalidArgument, "none of the model's logits is finite");
    }
    for (const auto& [id, bias] : options_.logit_bias) logits[static_cast<size_t>(id)] += bias;
    penalties_.Apply(logits, history);
    const float greatest = Greatest(logits);
    if (greatest == -kInfinity) {
      return Error(Code::kInvalidArgument, "logit_bias bans every token");
    }
    if (!(greatest < kInfinity)) {
      return Error(Code::kInvalidArgument, "penalties and logit_bias carry a logit beyond f32");
    }
    if (options_.temperature == 0) {
      return static_cast<int32_t>(std::find(logits.begin(), logits.end(), greatest) -
                                  logits.begin());
    }
    return options_.mirostat == 2 ? DrawMirostat(logits) : DrawFiltered(logits);
  }

 private:
  int32_t DrawFiltered(std::span<const float> logits) {
    if (options_.top_k > 0) {
      candidates_.ResetToTop(logits, options_.top_k);
    } else {
      candidates_.Reset(logits);
    }
    if (options_.typical_p < 1) candidates_.FilterTypical(options_.typical_p);
    if (options_.top_p < 1 || options_.min_p > 0) {
      candidates_.FilterTopP(options_.top_p, options_.min_p);
    }
    if (options_.xtc_probability > 0 && options_.xtc_threshold <= 0.5f &&
        random_.NextUnit() < options_.xtc_probability) {
      candidates_.FilterXtc(options_.xtc_threshold);
    }
    candidates_.DivideLogits(options_.temperature);
    return candidates_[candidates_.Draw(random_.NextUnit())].id;
  }

  int32_t DrawMirostat(std::span<const float> logits) {
    candidates_.Reset(logits);
    candidates_.DivideLogits(options_.temperature);
    candidates_.FilterSurprise(mirostat_mu_);
    const int64_t chosen = candidates_.Draw(random_.NextUnit());
    const auto surprise = static_cast<float>(candidates_.Surprise(chosen));
    mirostat_mu_ -= options_.mirostat_eta * (surprise - options_.mirostat_tau);
    return candidates_[chosen].id;
  }

  const SamplerOptions options_;
  Random random_;
  Penalties penalties_;
  Candidates candidates_;
  float mirostat_mu_;
};

}  // namespace

std::unique_ptr<Sampler> Sampler::Create(const SamplerOptions& options, int64_t n_vocab) {
  return std::make_unique<SamplerImpl>(options, n_vocab);
}

}  // namespace lamina::engine
