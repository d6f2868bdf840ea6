#include "engine/drafters/lookup.h"

#include <algorithm>
#include <iterator>

namespace lamina::engine {
namespace {

// A class per range of matched lengths (from these on) and of shares.
constexpr int kLengths[] = {1, 2, 3, 4, 5, 7, 10, 16, 32};
constexpr double kShares[] = {0.0, 0.6, 0.99};

constexpr float kPriors[][std::size(kShares)] = {
    {0.05f, 0.10f, 0.15f}, {0.15f, 0.25f, 0.30f}, {0.25f, 0.35f, 0.45f},
    {0.35f, 0.45f, 0.55f}, {0.40f, 0.55f, 0.65f}, {0.45f, 0.60f, 0.75f},
    {0.50f, 0.65f, 0.85f}, {0.50f, 0.70f, 0.92f}, {0.50f, 0.75f, 0.95f}};
static_assert(std::size(kPriors) == std::size(kLengths));

// The last of `starts` that is <= value.
template <class T, size_t kSize>
int RangeOf(const T (&starts)[kSize], T value) {
  const auto after = std::upper_bound(std::begin(starts), std::end(starts), value);
  return static_cast<int>(after - std::begin(starts)) - 1;
}

}  // namespace

int LookupClass(int n_matched, double share) {
  return RangeOf(kLengths, n_matched) * static_cast<int>(std::size(kShares)) +
         RangeOf(kShares, share);
}

std::span<const float> LookupPriors() { return {&kPriors[0][0], sizeof(kPriors) / sizeof(float)}; }

}  // namespace lamina::engine
