#include "sampler_reference.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace lamina::engine {
namespace {

struct Item {
  int id;
  double logit;
  double p;
};

// Probabilities at temperature 1 of what is left, most probable first.
void Normalize(std::vector<Item>& items) {
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
  double sum = 0;
  for (Item& item : items) sum += item.p = std::exp(item.logit - items[0].logit);
  for (Item& item : items) item.p /= sum;
}

void KeepMass(std::vector<Item>& items, double mass) {
  double kept = 0;
  size_t n = 0;
  while (n < items.size() && (n == 0 || kept < mass)) kept += items[n++].p;
  items.resize(n);
}

std::vector<int32_t> LastOf(const std::vector<int32_t>& history, int n) {
  if (n < 0 || n >= static_cast<int>(history.size())) return history;
  return {history.end() - n, history.end()};
}

// Of each token: the length of the longest text that ends the history and stood before it earlier.
std::map<int32_t, int> RepeatLengths(const std::vector<int32_t>& text,
                                     const std::vector<int32_t>& breakers) {
  const int n = static_cast<int>(text.size());
  const auto breaks = [&](int32_t token) {
    return std::find(breakers.begin(), breakers.end(), token) != breakers.end();
  };
  std::map<int32_t, int> longest;
  for (int next = 1; next < n; ++next) {
    int length = 0;
    while (length < next && text[next - 1 - length] == text[n - 1 - length] &&
           !breaks(text[next - 1 - length])) {
      ++length;
    }
    longest[text[next]] = std::max(longest[text[next]], length);
  }
  return longest;
}

}  // namespace

std::vector<double> ReferenceLogits(const SamplerOptions& options, const std::vector<float>& logits,
                                    const std::vector<int32_t>& history) {
  std::vector<double> out(logits.begin(), logits.end());
  for (const auto& [id, bias] : options.logit_bias) out[id] += bias;
  std::map<int32_t, int> counts;
  for (int32_t id : LastOf(history, options.penalty_last_n)) ++counts[id];
  for (const auto& [id, count] : counts) {
    out[id] =
        out[id] > 0 ? out[id] / options.repetition_penalty : out[id] * options.repetition_penalty;
    out[id] -= count * options.frequency_penalty + options.presence_penalty;
  }
  if (options.dry_multiplier > 0) {
    for (const auto& [id, length] :
         RepeatLengths(LastOf(history, options.dry_last_n), options.dry_breakers)) {
      if (length < options.dry_allowed_length) continue;
      out[id] -=
          options.dry_multiplier * std::pow(options.dry_base, length - options.dry_allowed_length);
    }
  }
  return out;
}

std::vector<double> ReferenceDistribution(const SamplerOptions& options,
                                          const std::vector<float>& logits,
                                          const std::vector<int32_t>& history) {
  const std::vector<double> changed = ReferenceLogits(options, logits, history);
  std::vector<Item> items;
  for (size_t i = 0; i < changed.size(); ++i) {
    if (std::isfinite(changed[i])) items.push_back({static_cast<int>(i), changed[i], 0});
  }
  Normalize(items);
  if (options.top_k > 0 && options.top_k < static_cast<int>(items.size())) {
    items.resize(options.top_k);
    Normalize(items);
  }
  if (options.typical_p < 1) {
    double entropy = 0;
    for (const Item& item : items) entropy -= item.p * std::log(item.p);
    std::stable_sort(items.begin(), items.end(), [=](const Item& a, const Item& b) {
      return std::fabs(-std::log(a.p) - entropy) < std::fabs(-std::log(b.p) - entropy);
    });
    KeepMass(items, options.typical_p);
    Normalize(items);
  }
  if (options.top_p < 1) KeepMass(items, options.top_p);
  Normalize(items);
  const double least = options.min_p * items[0].p;
  std::erase_if(items, [=](const Item& item) { return item.p < least; });
  Normalize(items);

  const auto with_temperature = [&](const std::vector<Item>& from, double weight,
                                    std::vector<double>& out) {
    double sum = 0;
    for (const Item& item : from)
      sum += std::exp((item.logit - from[0].logit) / options.temperature);
    for (const Item& item : from) {
      out[item.id] += weight * std::exp((item.logit - from[0].logit) / options.temperature) / sum;
    }
  };
  std::vector<double> out(logits.size());
  const bool xtc_on = options.xtc_probability > 0 && options.xtc_threshold <= 0.5f;
  const double p_xtc = xtc_on ? options.xtc_probability : 0;
  with_temperature(items, 1 - p_xtc, out);
  if (p_xtc > 0) {
    size_t n_above = 0;
    while (n_above < items.size() && items[n_above].p >= options.xtc_threshold) ++n_above;
    std::vector<Item> rest = items;
    if (n_above >= 2) rest.erase(rest.begin(), rest.begin() + static_cast<long>(n_above) - 1);
    with_temperature(rest, p_xtc, out);
  }
  return out;
}

}  // namespace lamina::engine
