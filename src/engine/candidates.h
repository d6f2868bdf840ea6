// The candidates for the next token, and the filters that narrow them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lamina::engine {

/// One token that may still be chosen.
struct Candidate {
  float logit;
  int32_t id;
  float weight;  ///< exp(logit - greatest logit): the probability but for the common factor.
  float key;     ///< What a filter sorts by.
};

/// A set of candidates over scratch of its own; no function but the constructor allocates, and none
/// sorts more than the part that it keeps. Filters keep at least one candidate. Ties go to the
/// lower id, so the outcome is defined.
class Candidates {
 public:
  explicit Candidates(int64_t n_vocab);

  /// All of the vocabulary with a finite logit.
  void Reset(std::span<const float> logits);
  /// The k (>= 1) most probable of logits.
  void ResetToTop(std::span<const float> logits, int64_t k);

  void FilterTypical(float typical_p);
  /// Nucleus and min-p in one pass: min-p's threshold bounds how far the nucleus must be sorted.
  void FilterTopP(float top_p, float min_p);
  /// Exclude the top choices: of the candidates with p >= threshold all but the least probable go.
  void FilterXtc(float threshold);
  /// Keeps those whose surprise -log2 p is at most `max_surprise`.
  void FilterSurprise(float max_surprise);

  void DivideLogits(float temperature);
  /// Index of the candidate at the quantile `unit` in [0, 1) of the distribution.
  int64_t Draw(double unit);
  /// -log2 of a candidate's probability among those left.
  double Surprise(int64_t index);

  int64_t n() const { return n_; }
  const Candidate& operator[](int64_t i) const { return items_[static_cast<size_t>(i)]; }

 private:
  /// Fills in the weights and returns their sum.
  double Weigh();
  /// Sorts by `before` only as far as needed to keep the shortest prefix whose weights reach
  /// `mass`, and keeps that prefix.
  template <class Before>
  void KeepPrefix(double mass, Before before);

  std::vector<Candidate> items_;
  int64_t n_ = 0;
};

}  // namespace lamina::engine
