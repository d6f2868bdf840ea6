#include "engine/penalties.h"

#include <algorithm>
#include <cmath>

namespace lamina::engine {
namespace {

// The last n of history; -1 = all of it.
std::span<const int32_t> LastOf(std::span<const int32_t> history, int n) {
  if (n < 0 || static_cast<size_t>(n) >= history.size()) return history;
  return history.last(static_cast<size_t>(n));
}

}  // namespace

Penalties::Penalties(const SamplerOptions& options, int64_t n_vocab)
    : options_(options),
      counts_on_(options.penalty_last_n != 0 &&
                 (options.repetition_penalty != 1 || options.presence_penalty != 0 ||
                  options.frequency_penalty != 0)),
      most_dry_power_(0) {
  const bool dry_on = options.dry_multiplier > 0 && options.dry_last_n != 0;
  if (!counts_on_ && !dry_on) return;
  const auto n = static_cast<size_t>(n_vocab);
  slots_.resize(n);
  is_touched_.resize(n);
  touched_.reserve(n);
  if (!dry_on) return;
  is_breaker_.resize(n);
  for (int32_t id : options.dry_breakers) is_breaker_[static_cast<size_t>(id)] = true;
  // 1e30 times the greatest multiplier still is a float.
  most_dry_power_ = options.dry_base > 1
                        ? static_cast<int>(std::min(1e6, 30.0 / std::log10(options.dry_base)))
                        : kMaxDryMatch;
}

int32_t& Penalties::Touch(int32_t token) {
  const auto i = static_cast<size_t>(token);
  if (!is_touched_[i]) {
    is_touched_[i] = true;
    touched_.push_back(token);
  }
  return slots_[i];
}

void Penalties::ForgetTouched() {
  for (int32_t token : touched_) {
    slots_[static_cast<size_t>(token)] = 0;
    is_touched_[static_cast<size_t>(token)] = false;
  }
  touched_.clear();
}

void Penalties::Apply(std::span<float> logits, std::span<const int32_t> history) {
  if (counts_on_) ApplyCounts(logits, LastOf(history, options_.penalty_last_n));
  if (!is_breaker_.empty()) ApplyDry(logits, LastOf(history, options_.dry_last_n));
}

void Penalties::ApplyCounts(std::span<float> logits, std::span<const int32_t> window) {
  for (int32_t token : window) ++Touch(token);
  for (int32_t token : touched_) {
    float& logit = logits[static_cast<size_t>(token)];
    // As in CTRL: dividing a negative logit would make it more probable.
    logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    logit -= static_cast<float>(slots_[static_cast<size_t>(token)]) * options_.frequency_penalty +
             options_.presence_penalty;
  }
  ForgetTouched();
}

void Penalties::ApplyDry(std::span<float> logits, std::span<const int32_t> window) {
  const auto n = static_cast<int64_t>(window.size());
  if (n < 2) return;
  const int32_t last = window[static_cast<size_t>(n - 1)];
  if (is_breaker_[static_cast<size_t>(last)]) return;
  // For every earlier place of the last token: how far the text before it equals the text's end.
  for (int64_t i = 0; i < n - 1; ++i) {
    if (window[static_cast<size_t>(i)] != last) continue;
    int match = 1;
    while (match < kMaxDryMatch && match <= i) {
      const int32_t token = window[static_cast<size_t>(n - 1 - match)];
      if (token != window[static_cast<size_t>(i - match)] ||
          is_breaker_[static_cast<size_t>(token)]) {
        break;
      }
      ++match;
    }
    int32_t& longest = Touch(window[static_cast<size_t>(i + 1)]);
    longest = std::max(longest, match);
  }
  for (int32_t token : touched_) {
    const int power = slots_[static_cast<size_t>(token)] - options_.dry_allowed_length;
    if (power < 0) continue;
    logits[static_cast<size_t>(token)] -=
        options_.dry_multiplier *
        std::pow(options_.dry_base, static_cast<float>(std::min(power, most_dry_power_)));
  }
  ForgetTouched();
}

}  // namespace lamina::engine
