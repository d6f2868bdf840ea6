#include "engine/sampler.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/candidates.h"
#include "engine/penalties.h"
#include "engine/random.h"

namespace lamina::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Peak {
  float value;   ///< The greatest logit, or NaN where one is NaN.
  size_t index;  ///< The first with that value.
};

// Four lanes as one vector: a compiler does not make them of a loop that may meet NaN.
using Lanes = float __attribute__((vector_size(16)));
using LaneBits = int32_t __attribute__((vector_size(16)));

Peak FindPeak(std::span<const float> logits) {
  // The index is looked for only in the block where the value rose last.
  constexpr size_t kBlock = 1024;
  Peak peak{-kInfinity, 0};
  size_t best_block = 0;
  for (size_t block = 0; block < logits.size(); block += kBlock) {
    const size_t end = std::min(block + kBlock, logits.size());
    Lanes best = {-kInfinity, -kInfinity, -kInfinity, -kInfinity};
    LaneBits nan = {};
    size_t i = block;
    for (; i + 4 <= end; i += 4) {
      Lanes x;
      std::memcpy(&x, logits.data() + i, sizeof x);
      best = x > best ? x : best;
      nan |= x != x;
    }
    float greatest = std::max(std::max(best[0], best[1]), std::max(best[2], best[3]));
    bool is_nan = (nan[0] | nan[1] | nan[2] | nan[3]) != 0;
    for (; i < end; ++i) {
      greatest = std::max(greatest, logits[i]);
      is_nan |= logits[i] != logits[i];
    }
    if (is_nan) return {std::numeric_limits<float>::quiet_NaN(), 0};
    if (greatest > peak.value) {
      peak.value = greatest;
      best_block = block;
    }
  }
  const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(best_block);
  peak.index = static_cast<size_t>(std::find(begin, logits.end(), peak.value) - logits.begin());
  return peak;
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
    Peak peak = FindPeak(logits);
    if (!(peak.value < kInfinity)) {
      return Error(Code::kInvalidArgument, "the model's logits contain {}",
                   peak.value == kInfinity ? "infinity" : "NaN");
    }
    if (peak.value == -kInfinity) {
      return Error(Code::kInvalidArgument, "none of the model's logits is finite");
    }
    if (penalties_.any() || !options_.logit_bias.empty()) {
      for (const auto& [id, bias] : options_.logit_bias) logits[static_cast<size_t>(id)] += bias;
      penalties_.Apply(logits, history);
      peak = FindPeak(logits);
      if (peak.value == -kInfinity) {
        return Error(Code::kInvalidArgument, "logit_bias bans every token");
      }
      if (!(peak.value < kInfinity)) {
        return Error(Code::kInvalidArgument, "penalties and logit_bias carry a logit beyond f32");
      }
    }
    if (options_.temperature == 0) return static_cast<int32_t>(peak.index);
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
