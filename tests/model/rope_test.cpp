// Rotary angles against formulae written out here, in double.
#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace lamina::model {
namespace {

// The frequency of pair i that the table uses, from its angles at position 1 and its magnitude.
double Frequency(const RopeSpec& spec, int i, bool long_factors = false) {
  const RopeTable table(spec);
  std::vector<float> cos(static_cast<size_t>(table.n_pairs())), sin(cos.size());
  table.Angles(1, long_factors, cos.data(), sin.data());
  return std::atan2(sin[static_cast<size_t>(i)], cos[static_cast<size_t>(i)]);
}

TEST(Rope, PlainFrequenciesArePowersOfTheBase) {
  for (double theta : {1e4, 5e5, 1e6}) {
    const RopeSpec spec{.n_rot = 64, .theta = theta};
    for (int i = 0; i < 32; ++i) {
      const double expected = std::pow(theta, -i / 32.0);
      EXPECT_NEAR(Frequency(spec, i), expected, 3e-7 * expected) << theta << " " << i;
    }
  }
}

TEST(Rope, AnglesGrowWithThePosition) {
  const RopeSpec spec{.n_rot = 16, .theta = 1e4, .magnitude = 1.25f};
  const RopeTable table(spec);
  float cos[8], sin[8];
  for (int64_t position : {0, 1, 71, 4096, 131071}) {
    table.Angles(position, false, cos, sin);
    for (int i = 0; i < 8; ++i) {
      // f32 holds the frequency, and the angle, to 24 bits.
      const double angle = static_cast<double>(position) * std::pow(1e4, -i / 8.0);
      const double tolerance = 1e-6 + 2e-7 * angle;
      EXPECT_NEAR(cos[i], 1.25 * std::cos(angle), tolerance) << position << " " << i;
      EXPECT_NEAR(sin[i], 1.25 * std::sin(angle), tolerance) << position << " " << i;
    }
  }
}

TEST(Rope, LinearFactorAndDivisorsSlowPairsDown) {
  const RopeSpec spec{.n_rot = 8,
                      .theta = 100,
                      .linear_factor = 4,
                      .freq_divisors = {1, 2, 1e30f, 8},
                      .long_divisors = {3, 2, 1, 1},
                      .original_context = 32};
  EXPECT_NEAR(Frequency(spec, 0), 1.0 / 4, 1e-7);
  EXPECT_NEAR(Frequency(spec, 1), std::pow(100, -0.25) / 4 / 2, 1e-7);
  EXPECT_NEAR(Frequency(spec, 2), 0, 1e-20);
  EXPECT_NEAR(Frequency(spec, 3), std::pow(100, -0.75) / 4 / 8, 1e-8);
  EXPECT_NEAR(Frequency(spec, 0, true), 1.0 / 4 / 3, 1e-7);
}

TEST(Rope, YarnBlendsBetweenTheCorrectionPairs) {
  const RopeSpec spec{.n_rot = 128,
                      .theta = 1e4,
                      .original_context = 4096,
                      .yarn_factor = 4,
                      .yarn_beta_fast = 32,
                      .yarn_beta_slow = 1};
  const auto pair_of = [](double turns) {
    return 128 * std::log(4096 / (turns * 2 * std::numbers::pi)) / (2 * std::log(1e4));
  };
  const double low = std::floor(pair_of(32)), high = std::ceil(pair_of(1));
  ASSERT_GT(low, 0);
  ASSERT_LT(high, 63);
  int n_blended = 0;
  for (int i = 0; i < 64; ++i) {
    const double plain = std::pow(1e4, -i / 64.0);
    const double ramp = std::min(std::max((i - low) / (high - low), 0.0), 1.0);
    const double expected = plain / 4 * ramp + plain * (1 - ramp);
    EXPECT_NEAR(Frequency(spec, i), expected, 3e-7 * expected) << i;
    n_blended += ramp > 0 && ramp < 1;
  }
  EXPECT_GT(n_blended, 10);
}

}  // namespace
}  // namespace lamina::model
