// What the text so far does to the logits of the next token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampler.h"

namespace lamina::engine {

/// Repetition, frequency and presence penalties, and DRY, on logits in place. Allocates only when
/// made.
class Penalties {
 public:
  Penalties(const SamplerOptions& options, int64_t n_vocab);

  /// Whether Apply does anything.
  bool any() const { return counts_on_ || !is_breaker_.empty(); }
  void Apply(std::span<float> logits, std::span<const int32_t> history);

 private:
  void ApplyCounts(std::span<float> logits, std::span<const int32_t> window);
  void ApplyDry(std::span<float> logits, std::span<const int32_t> window);
  /// Adds `token` to the touched ones and returns its slot, 0 the first time.
  int32_t& Touch(int32_t token);
  void ForgetTouched();

  const SamplerOptions& options_;
  bool counts_on_;
  int most_dry_power_;            ///< Where dry_base^power would leave the range of f32.
  std::vector<bool> is_breaker_;  ///< [n_vocab], empty where DRY is off.
  std::vector<int32_t> slots_;    ///< [n_vocab], zero between calls.
  std::vector<int32_t> touched_;  ///< Tokens whose slot is not zero.
  std::vector<bool> is_touched_;  ///< [n_vocab]
};

}  // namespace lamina::engine
