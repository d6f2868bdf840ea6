#include <gtest/gtest.h>

#include <cmath>

#include "engine/penalties.h"
#include "engine/random.h"
#include "sampler_reference.h"

namespace lamina::engine {
namespace {

// Applies twice with one object, so that what a call leaves behind would show.
void ExpectAsReference(const SamplerOptions& options, const std::vector<int32_t>& history,
                       uint64_t seed) {
  constexpr size_t kVocab = 12;
  Random random(seed);
  std::vector<float> logits(kVocab);
  for (float& x : logits) x = static_cast<float>(random.NextUnit() * 10 - 5);
  const auto expected = ReferenceLogits(options, logits, history);
  Penalties penalties(options, kVocab);
  for (int round = 0; round < 2; ++round) {
    auto changed = logits;
    penalties.Apply(changed, history);
    for (size_t i = 0; i < kVocab; ++i) {
      EXPECT_NEAR(changed[i], expected[i], 1e-5 * std::max(1.0, std::fabs(expected[i])))
          << "token " << i << ", seed " << seed << ", round " << round;
    }
  }
}

TEST(PenaltiesTest, EqualTheReferenceOnRandomHistories) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    SamplerOptions options;
    options.repetition_penalty = static_cast<float>(0.8 + random.NextUnit());
    options.presence_penalty = static_cast<float>(random.NextUnit() - 0.5);
    options.frequency_penalty = static_cast<float>(random.NextUnit() - 0.5);
    options.penalty_last_n = static_cast<int>(random.Next() % 40) - 1;
    options.dry_multiplier = seed % 3 == 0 ? 0.0f : 0.8f;
    options.dry_allowed_length = 1 + static_cast<int>(random.Next() % 4);
    options.dry_last_n = static_cast<int>(random.Next() % 40) - 1;
    if (options.dry_last_n == 0) options.dry_multiplier = 0;
    if (seed % 2 == 0) options.dry_breakers = {3};
    // Few different tokens, so that long repetitions happen.
    std::vector<int32_t> history(random.Next() % 60);
    const uint64_t n_kinds = 1 + random.Next() % 5;
    for (int32_t& id : history) id = static_cast<int32_t>(random.Next() % n_kinds);
    ExpectAsReference(options, history, seed);
  }
}

TEST(PenaltiesTest, AVeryLongRepetitionStaysFinite) {
  SamplerOptions options;
  options.dry_multiplier = 100;
  options.dry_base = 100;
  std::vector<int32_t> history(3000, 1);
  std::vector<float> logits(4, 0.0f);
  Penalties(options, 4).Apply(logits, history);
  EXPECT_TRUE(std::isfinite(logits[1]));
  EXPECT_LT(logits[1], -1e20f);
  EXPECT_EQ(logits[0], 0.0f);
}

}  // namespace
}  // namespace lamina::engine
