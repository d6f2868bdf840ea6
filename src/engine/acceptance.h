// How often drafted tokens turn out right.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "engine/drafter.h"

namespace lamina::engine {

/// The rate at which the tokens of each class of one drafter are right: a running estimate that
/// begins at what the class is taken for, or at what another estimate, of all requests, says.
class Acceptance {
 public:
  explicit Acceptance(std::span<const float> priors) {
    std::copy(priors.begin(), priors.end(), priors_.begin());
  }
  /// One request's estimate, drawn towards `all`, which must outlive it.
  explicit Acceptance(const Acceptance* all) : all_(all) {}

  double Rate(int token_class) const {
    const auto i = static_cast<size_t>(token_class);
    const double prior = all_ != nullptr ? all_->Rate(token_class) : priors_[i];
    return (kPriorWeight * prior + right_[i]) / (kPriorWeight + tried_[i]);
  }

  void Observe(int token_class, bool right) {
    const auto i = static_cast<size_t>(token_class);
    // Texts change: what lies many tokens back counts less and less.
    if (tried_[i] >= kMostWeight) {
      right_[i] *= 1 - 1 / kMostWeight;
      tried_[i] *= 1 - 1 / kMostWeight;
    }
    right_[i] += right ? 1 : 0;
    tried_[i] += 1;
  }

 private:
  static constexpr double kPriorWeight = 4;
  static constexpr double kMostWeight = 32;

  const Acceptance* all_ = nullptr;
  std::array<float, kMaxDraftClasses> priors_{};
  std::array<double, kMaxDraftClasses> right_{}, tried_{};
};

}  // namespace lamina::engine
