#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lamina::model {
namespace {

// The pair whose wave makes `n_turns` turns within the original context.
double PairOfTurns(const RopeSpec& spec, double n_turns) {
  return spec.n_rot *
         std::log(static_cast<double>(spec.original_context) / (n_turns * 2 * std::numbers::pi)) /
         (2 * std::log(spec.theta));
}

// YaRN's weight of the unscaled frequency: 1 for fast pairs, 0 for slow ones, a ramp between.
double UnscaledShare(const RopeSpec& spec, int pair) {
  const double low = std::max(std::floor(PairOfTurns(spec, spec.yarn_beta_fast)), 0.0);
  double high = std::min(std::ceil(PairOfTurns(spec, spec.yarn_beta_slow)), spec.n_rot - 1.0);
  if (low == high) high += 0.001;
  return 1 - std::clamp((pair - low) / (high - low), 0.0, 1.0);
}

std::vector<float> Frequencies(const RopeSpec& spec, const std::vector<float>& divisors) {
  std::vector<float> out(static_cast<size_t>(spec.n_rot / 2));
  for (int i = 0; i < spec.n_rot / 2; ++i) {
    double frequency = std::pow(spec.theta, -2.0 * i / spec.n_rot) / spec.linear_factor;
    if (!divisors.empty()) frequency /= static_cast<double>(divisors[i]);
    if (spec.yarn_factor > 0) {
      const double share = UnscaledShare(spec, i);
      frequency *= share + (1 - share) / spec.yarn_factor;
    }
    out[i] = static_cast<float>(frequency);
  }
  return out;
}

}  // namespace

RopeTable::RopeTable(const RopeSpec& spec)
    : magnitude_(spec.magnitude),
      frequencies_(Frequencies(spec, spec.freq_divisors)),
      long_frequencies_(spec.long_divisors.empty() ? frequencies_
                                                   : Frequencies(spec, spec.long_divisors)) {}

void RopeTable::Angles(int64_t position, bool long_factors, float* cos, float* sin) const {
  const std::vector<float>& frequencies = long_factors ? long_frequencies_ : frequencies_;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    // The product is rounded to f32, as models were trained with it.
    const float angle = static_cast<float>(position) * frequencies[i];
    cos[i] = static_cast<float>(std::cos(static_cast<double>(angle))) * magnitude_;
    sin[i] = static_cast<float>(std::sin(static_cast<double>(angle))) * magnitude_;
  }
}

}  // namespace lamina::model
