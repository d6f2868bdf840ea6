// From logits to a token.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"

namespace lamina::engine {

/// How the next token is chosen. Steps run in this order: logit bias, penalties (repetition, then
/// frequency and presence), DRY, then top-k, typical, top-p, min-p, XTC, temperature, draw;
/// mirostat 2 replaces top-k to XTC and acts after temperature. Probabilities in top-k to XTC are
/// those at temperature 1 among the candidates that the steps before left. Each field says its
/// off-value.
struct SamplerOptions {
  float temperature = 0.0f;  ///< 0 = greedy: the most probable token, the first among equals.
  int top_k = 40;            ///< Keep the k most probable; 0 = all.
  float top_p = 0.95f;       ///< Nucleus (arXiv:1904.09751); 1 = off.
  float min_p = 0.05f;       ///< Keep p >= min_p * max p (arXiv:2407.01082); 0 = off.
  float typical_p = 1.0f;    ///< Locally typical (arXiv:2202.00666); 1 = off.
  float repetition_penalty = 1.0f;  ///< CTRL (arXiv:1909.05858); 1 = off.
  float presence_penalty = 0.0f;    ///< 0 = off.
  float frequency_penalty = 0.0f;   ///< 0 = off.
  int penalty_last_n = 64;          ///< Tokens looked back at; 0 = none, -1 = the whole context.
  /// DRY: a token that would extend a repetition of m >= dry_allowed_length tokens loses
  /// dry_multiplier * dry_base^(m - dry_allowed_length); 0 = off. Repetitions longer than
  /// kMaxDryMatch count as that long.
  float dry_multiplier = 0.0f;
  float dry_base = 1.75f;
  int dry_allowed_length = 2;
  int dry_last_n = -1;                ///< -1 = the whole context.
  std::vector<int32_t> dry_breakers;  ///< Tokens that end a match.
  float xtc_probability = 0.0f;       ///< XTC; 0 = off.
  float xtc_threshold = 0.1f;         ///< Above 0.5 = off.
  int mirostat = 0;                   ///< 0 = off, 2 = mirostat 2 (arXiv:2007.14966).
  float mirostat_tau = 5.0f;
  float mirostat_eta = 0.1f;
  uint64_t seed = 0;  ///< The same seed, prompt and options give the same text.
  std::vector<std::pair<int32_t, float>> logit_bias;  ///< Added to logits; -infinity bans.
};

inline constexpr int kMaxDryMatch = 256;

/// Names the field that is out of its range. kInvalidArgument.
Result<> Validate(const SamplerOptions& options, int64_t n_vocab);

class Sampler {
 public:
  /// Options must be valid. n_vocab sizes the scratch: Sample allocates nothing.
  static std::unique_ptr<Sampler> Create(const SamplerOptions& options, int64_t n_vocab);
  virtual ~Sampler() = default;
  /// Chooses from logits [n_vocab] (overwritten). history: prompt and answer so far, ids within
  /// the vocabulary. Errors: kInvalidArgument where logits are NaN or +infinity, or none is finite.
  virtual Result<int32_t> Sample(std::span<float> logits, std::span<const int32_t> history) = 0;
};

}  // namespace lamina::engine
