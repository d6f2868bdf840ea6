#include "engine/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lamina::engine {
namespace {

constexpr int64_t kHeapMost = 512;     // Beyond it selection beats a heap.
constexpr int64_t kFirstPrefix = 256;  // Almost every nucleus is shorter.

bool MoreProbable(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

bool LessKey(const Candidate& a, const Candidate& b) {
  if (a.key != b.key) return a.key < b.key;
  return MoreProbable(a, b);
}

}  // namespace

Candidates::Candidates(int64_t n_vocab) : items_(static_cast<size_t>(n_vocab)) {}

void Candidates::Reset(std::span<const float> logits) {
  n_ = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == -std::numeric_limits<float>::infinity()) continue;
    items_[static_cast<size_t>(n_++)] = {logits[i], static_cast<int32_t>(i), 0, 0};
  }
}

void Candidates::ResetToTop(std::span<const float> logits, int64_t k) {
  if (k > kHeapMost || k >= static_cast<int64_t>(logits.size())) {
    Reset(logits);
    if (k >= n_) return;
    std::nth_element(items_.begin(), items_.begin() + k, items_.begin() + n_, MoreProbable);
    n_ = k;
    return;
  }
  // The heap's top is the worst of the k best so far; later ids lose ties, so only a strictly
  // greater logit enters, and almost every logit is turned away by one comparison.
  n_ = 0;
  float worst = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > worst)) continue;
    const Candidate candidate{logits[i], static_cast<int32_t>(i), 0, 0};
    if (n_ == k) {
      std::pop_heap(items_.begin(), items_.begin() + n_, MoreProbable);
      items_[static_cast<size_t>(n_ - 1)] = candidate;
    } else {
      items_[static_cast<size_t>(n_++)] = candidate;
    }
    std::push_heap(items_.begin(), items_.begin() + n_, MoreProbable);
    if (n_ == k) worst = items_[0].logit;
  }
}

double Candidates::Weigh() {
  float greatest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n_; ++i) greatest = std::max(greatest, items_[i].logit);
  double sum = 0;
  for (int64_t i = 0; i < n_; ++i) {
    items_[i].weight = std::exp(items_[i].logit - greatest);
    sum += items_[i].weight;
  }
  return sum;
}

template <class Before>
void Candidates::KeepPrefix(double mass, Before before) {
  const auto begin = items_.begin();
  double kept = 0;
  for (int64_t done = 0, next = std::min(kFirstPrefix, n_); done < n_;
       done = next, next = std::min(4 * next, n_)) {
    if (next < n_) std::nth_element(begin + done, begin + next, begin + n_, before);
    std::sort(begin + done, begin + next, before);
    for (int64_t i = done; i < next; ++i) {
      kept += items_[i].weight;
      if (kept >= mass) {
        n_ = i + 1;
        return;
      }
    }
  }
}

void Candidates::FilterTypical(float typical_p) {
  const double sum = Weigh();
  double entropy = 0;
  for (int64_t i = 0; i < n_; ++i) {
    const double p = items_[i].weight / sum;
    if (p > 0) entropy -= p * std::log(p);
  }
  for (int64_t i = 0; i < n_; ++i) {
    const double p = items_[i].weight / sum;
    items_[i].key = p > 0 ? static_cast<float>(std::fabs(-std::log(p) - entropy))
                          : std::numeric_limits<float>::infinity();
  }
  KeepPrefix(typical_p * sum, LessKey);
}

void Candidates::FilterTopP(float top_p, float min_p) {
  const double sum = Weigh();
  if (min_p > 0) {
    const auto end = std::partition(items_.begin(), items_.begin() + n_,
                                    [=](const Candidate& c) { return c.weight >= min_p; });
    n_ = end - items_.begin();
  }
  if (top_p < 1) KeepPrefix(top_p * sum, MoreProbable);
}

void Candidates::FilterXtc(float threshold) {
  const double least_weight = threshold * Weigh();
  int64_t n_above = 0, least = -1;
  for (int64_t i = 0; i < n_; ++i) {
    if (items_[i].weight < least_weight) continue;
    ++n_above;
    if (least < 0 || MoreProbable(items_[least], items_[i])) least = i;
  }
  if (n_above < 2) return;
  const int32_t spared = items_[least].id;
  const auto end = std::remove_if(items_.begin(), items_.begin() + n_, [=](const Candidate& c) {
    return c.weight >= least_weight && c.id != spared;
  });
  n_ = end - items_.begin();
}

void Candidates::FilterSurprise(float max_surprise) {
  const double sum = Weigh();
  const double least_weight = sum * std::exp2(-static_cast<double>(max_surprise));
  // A weight of 1 is the most probable candidate's: it stays whatever the bound.
  const auto end = std::partition(items_.begin(), items_.begin() + n_, [=](const Candidate& c) {
    return c.weight >= least_weight || c.weight == 1.0f;
  });
  n_ = end - items_.begin();
}

void Candidates::DivideLogits(float temperature) {
  float greatest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n_; ++i) greatest = std::max(greatest, items_[i].logit);
  // Differences first: a small temperature must not carry the logits themselves to infinity.
  for (int64_t i = 0; i < n_; ++i) items_[i].logit = (items_[i].logit - greatest) / temperature;
}

int64_t Candidates::Draw(double unit) {
  double left = unit * Weigh();
  int64_t last_possible = 0;
  for (int64_t i = 0; i < n_; ++i) {
    if (items_[i].weight <= 0) continue;
    last_possible = i;
    left -= items_[i].weight;
    if (left < 0) return i;
  }
  return last_possible;
}

double Candidates::Surprise(int64_t index) {
  const double sum = Weigh();
  return -std::log2(items_[index].weight / sum);
}

}  // namespace lamina::engine
