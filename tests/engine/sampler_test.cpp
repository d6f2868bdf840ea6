#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "engine/random.h"
#include "sampler_reference.h"

namespace lamina::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Bell-shaped logits with a few strong ones, as language models give.
std::vector<float> RandomLogits(uint64_t seed, int n, float spread) {
  Random random(seed);
  std::vector<float> logits(static_cast<size_t>(n));
  for (float& x : logits) {
    double sum = 0;
    for (int i = 0; i < 6; ++i) sum += random.NextUnit() - 0.5;
    x = static_cast<float>(sum * spread);
  }
  return logits;
}

std::vector<int> Draw(const SamplerOptions& options, const std::vector<float>& logits,
                      const std::vector<int32_t>& history, int n) {
  auto sampler = Sampler::Create(options, static_cast<int64_t>(logits.size()));
  std::vector<int> counts(logits.size());
  std::vector<float> scratch;
  for (int i = 0; i < n; ++i) {
    scratch = logits;
    const auto token = sampler->Sample(scratch, history);
    EXPECT_TRUE(token.has_value()) << token.status().message();
    if (token) ++counts[static_cast<size_t>(*token)];
  }
  return counts;
}

// Pearson's statistic over cells of at least five expected draws, as standard deviations above
// its mean; a token outside the support fails at once.
double ChiSquareDeviation(const std::vector<int>& counts, const std::vector<double>& expected,
                          int n) {
  double statistic = 0, rest_expected = 0;
  int rest_count = 0, n_cells = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " is not in the distribution";
    } else if (expected[i] * n < 5) {
      rest_expected += expected[i] * n;
      rest_count += counts[i];
    } else {
      statistic += std::pow(counts[i] - expected[i] * n, 2) / (expected[i] * n);
      ++n_cells;
    }
  }
  if (rest_expected >= 5) {
    statistic += std::pow(rest_count - rest_expected, 2) / rest_expected;
    ++n_cells;
  }
  const double freedom = n_cells - 1;
  return freedom < 1 ? 0 : (statistic - freedom) / std::sqrt(2 * freedom);
}

struct Case {
  const char* name;
  SamplerOptions options;
};

SamplerOptions Plain() {
  SamplerOptions options;
  options.temperature = 1;
  options.top_k = 0;
  options.top_p = 1;
  options.min_p = 0;
  options.seed = 42;
  return options;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto add = [&](const char* name, auto change) {
    cases.push_back({name, Plain()});
    change(cases.back().options);
  };
  add("plain", [](auto&) {});
  add("cold", [](auto& o) { o.temperature = 0.3f; });
  add("hot", [](auto& o) { o.temperature = 2.5f; });
  add("top_k", [](auto& o) { o.top_k = 7; });
  add("top_k over the heap's limit", [](auto& o) { o.top_k = 600; });
  add("top_p", [](auto& o) { o.top_p = 0.8f; });
  add("top_p zero", [](auto& o) { o.top_p = 0; });
  add("top_p long", [](auto& o) { o.top_p = 0.999f, o.temperature = 1.5f; });
  add("min_p", [](auto& o) { o.min_p = 0.1f; });
  add("min_p one", [](auto& o) { o.min_p = 1; });
  add("top_p and min_p", [](auto& o) { o.top_p = 0.7f, o.min_p = 0.02f; });
  add("typical", [](auto& o) { o.typical_p = 0.5f; });
  add("typical and top_p", [](auto& o) { o.typical_p = 0.7f, o.top_p = 0.8f; });
  add("xtc", [](auto& o) { o.xtc_probability = 0.4f, o.xtc_threshold = 0.05f; });
  add("xtc always", [](auto& o) { o.xtc_probability = 1, o.xtc_threshold = 0.02f; });
  add("xtc off", [](auto& o) { o.xtc_probability = 1, o.xtc_threshold = 0.6f; });
  add("penalties", [](auto& o) {
    o.repetition_penalty = 1.3f, o.presence_penalty = 0.4f, o.frequency_penalty = 0.2f;
  });
  add("bias", [](auto& o) { o.logit_bias = {{3, 2.5f}, {4, -kInfinity}, {5, -1}}; });
  add("dry", [](auto& o) { o.dry_multiplier = 0.8f; });
  add("everything", [](auto& o) {
    o = SamplerOptions();
    o.temperature = 0.8f;
    o.typical_p = 0.9f;
    o.xtc_probability = 0.3f;
    o.repetition_penalty = 1.1f;
    o.dry_multiplier = 0.5f;
    o.logit_bias = {{1, 1.5f}};
  });
  return cases;
}

TEST(SamplerTest, DrawsFollowTheReferenceDistribution) {
  constexpr int kDraws = 10000;
  const std::vector<int32_t> history = {3, 9, 4, 7, 3, 9, 4, 1, 3, 9};
  for (const Case& c : Cases()) {
    for (int n_vocab : {30, 700}) {
      SCOPED_TRACE(fmt::format("{}, {} tokens", c.name, n_vocab));
      const auto logits = RandomLogits(7, n_vocab, 4);
      const auto expected = ReferenceDistribution(c.options, logits, history);
      const auto counts = Draw(c.options, logits, history, kDraws);
      EXPECT_LT(ChiSquareDeviation(counts, expected, kDraws), 4.5);
    }
  }
}

TEST(SamplerTest, TheTestNoticesAWrongDistribution) {
  const auto logits = RandomLogits(7, 30, 4);
  SamplerOptions other = Plain();
  other.temperature = 1.1f;
  const auto counts = Draw(Plain(), logits, {}, 20000);
  EXPECT_GT(ChiSquareDeviation(counts, ReferenceDistribution(other, logits, {}), 20000), 4.5);
}

TEST(SamplerTest, GreedyTakesTheFirstGreatest) {
  SamplerOptions options;
  auto sampler = Sampler::Create(options, 20);
  std::vector<float> logits(20, 1.0f);
  logits[9] = logits[17] = 3.0f;
  EXPECT_EQ(*sampler->Sample(logits, {}), 9);
  std::fill(logits.begin(), logits.end(), -kInfinity);
  logits[19] = -1e30f;
  EXPECT_EQ(*sampler->Sample(logits, {}), 19);
}

TEST(SamplerTest, TopKOneIsGreedyWhateverTheSeed) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SamplerOptions options = Plain();
    options.top_k = 1;
    options.seed = seed;
    auto logits = RandomLogits(seed, 3000, 3);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    EXPECT_EQ(*Sampler::Create(options, 3000)->Sample(logits, {}), best);
  }
}

TEST(SamplerTest, TiesAtTheEdgeOfTopKGoToLowerIds) {
  for (int top_k : {5, 600}) {
    SamplerOptions options = Plain();
    options.top_k = top_k;
    const auto counts = Draw(options, std::vector<float>(2000, 0.5f), {}, 20000);
    for (size_t i = 0; i < counts.size(); ++i) {
      EXPECT_EQ(counts[i] > 0, static_cast<int>(i) < top_k) << i;
    }
  }
}

TEST(SamplerTest, SeedsReproduceAndDiffer) {
  const auto run = [](uint64_t seed) {
    SamplerOptions options = Plain();
    options.seed = seed;
    auto sampler = Sampler::Create(options, 1000);
    std::vector<int32_t> tokens;
    for (uint64_t i = 0; i < 64; ++i) {
      auto logits = RandomLogits(i, 1000, 3);
      tokens.push_back(*sampler->Sample(logits, tokens));
    }
    return tokens;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(SamplerTest, TheGeneratorIsTheNamedOne) {
  // SplitMix64 of seed 0 and the first outputs of xoshiro256++ on that state.
  Random random(0);
  EXPECT_EQ(random.Next(), 0x53175d61490b23dfu);
  EXPECT_EQ(random.Next(), 0x61da6f3dc380d507u);
}

TEST(SamplerTest, BadLogitsAreErrors) {
  for (float temperature : {0.0f, 1.0f}) {
    SamplerOptions options = Plain();
    options.temperature = temperature;
    auto sampler = Sampler::Create(options, 37);
    for (size_t place : {0u, 15u, 36u}) {
      for (float bad : {kNan, kInfinity}) {
        std::vector<float> logits(37, 0.0f);
        logits[place] = bad;
        const auto token = sampler->Sample(logits, {});
        ASSERT_FALSE(token.has_value());
        EXPECT_EQ(token.error().code(), Code::kInvalidArgument);
      }
    }
    std::vector<float> none(37, -kInfinity);
    EXPECT_FALSE(sampler->Sample(none, {}).has_value());
  }
}

TEST(SamplerTest, BanningEveryTokenIsAnError) {
  SamplerOptions options = Plain();
  options.logit_bias = {{0, -kInfinity}, {1, -kInfinity}};
  std::vector<float> logits = {1, 2};
  EXPECT_FALSE(Sampler::Create(options, 2)->Sample(logits, {}).has_value());
}

TEST(SamplerTest, ExtremeLogitsAndTemperaturesStayFinite) {
  for (float temperature : {1e-30f, 1e-3f, 100.0f}) {
    for (float scale : {1e-30f, 1.0f, 3e38f}) {
      SamplerOptions options = Plain();
      options.temperature = temperature;
      options.top_p = 0.9f;
      options.typical_p = 0.9f;
      auto logits = RandomLogits(3, 100, 1);
      for (float& x : logits) x = std::clamp(x, -1.0f, 1.0f) * scale;
      const auto token = Sampler::Create(options, 100)->Sample(logits, {});
      ASSERT_TRUE(token.has_value()) << token.status().message();
    }
  }
}

// The rule of mirostat 2 in double beside the sampler: what it draws must be among what the rule
// keeps, and the surprise among the kept must settle at tau.
TEST(SamplerTest, MirostatHoldsTheSurpriseAtTau) {
  std::vector<float> logits(2000);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = -1.2f * std::log(1.0f + static_cast<float>(i));
  for (float tau : {2.5f, 4.0f}) {
    SamplerOptions options = Plain();
    options.mirostat = 2;
    options.mirostat_tau = tau;
    auto sampler = Sampler::Create(options, std::ssize(logits));
    double sum = 0;
    for (float x : logits) sum += std::exp(x);
    double mu = 2 * tau, total = 0;
    constexpr int kTokens = 3000;
    for (int i = 0; i < kTokens; ++i) {
      auto scratch = logits;
      const auto token = *sampler->Sample(scratch, {});
      const auto surprise = [&](size_t id) { return -std::log2(std::exp(logits[id]) / sum); };
      EXPECT_TRUE(token == 0 || surprise(static_cast<size_t>(token)) <= mu + 1e-3);
      double kept = 0;
      for (size_t id = 0; id < logits.size(); ++id) {
        if (id == 0 || surprise(id) <= mu) kept += std::exp(logits[id]) / sum;
      }
      const double observed = surprise(static_cast<size_t>(token)) + std::log2(kept);
      mu -= options.mirostat_eta * (observed - tau);
      total += observed;
    }
    EXPECT_NEAR(total / kTokens, tau, 0.05);
  }
}

TEST(SamplerTest, MirostatFollowsItsOwnRule) {
  // Equal logits: every surprise is log2 of the number kept, so mu moves as the paper says: with
  // tau above it, mu rises and all stay; the draw is uniform.
  SamplerOptions options = Plain();
  options.mirostat = 2;
  const auto counts = Draw(options, std::vector<float>(16, 1.0f), {}, 16000);
  EXPECT_LT(ChiSquareDeviation(counts, std::vector<double>(16, 1 / 16.0), 16000), 4.5);
  // With tau far below, mu falls until only the most probable is left.
  options.mirostat_tau = 0.01f;
  std::vector<float> logits(16, 0.0f);
  logits[5] = 2;
  const auto cold = Draw(options, logits, {}, 1000);
  EXPECT_GT(cold[5], 950);
}

TEST(SamplerTest, ALargeVocabularyIsSelectedFromLikeASmallOne) {
  constexpr int kVocab = 262144;
  auto logits = RandomLogits(11, kVocab, 3);
  SamplerOptions options = Plain();
  for (float& x : logits) x *= 4;
  options.top_k = 40;
  options.top_p = 0.95f;
  options.min_p = 0.05f;
  const auto expected = ReferenceDistribution(options, logits, {});
  EXPECT_LT(ChiSquareDeviation(Draw(options, logits, {}, 2000), expected, 2000), 4.5);
  options.top_k = 0;
  const auto unlimited = ReferenceDistribution(options, logits, {});
  EXPECT_LT(ChiSquareDeviation(Draw(options, logits, {}, 500), unlimited, 500), 4.5);
}

TEST(SamplerValidateTest, NamesTheField) {
  const auto message = [](auto change) {
    SamplerOptions options;
    change(options);
    const auto result = Validate(options, 100);
    EXPECT_FALSE(result.has_value());
    return result.status().message();
  };
  const std::map<std::string, std::string> found = {
      {"temperature", message([](auto& o) { o.temperature = -1; })},
      {"top_k", message([](auto& o) { o.top_k = -1; })},
      {"top_p", message([](auto& o) { o.top_p = 1.5f; })},
      {"min_p", message([](auto& o) { o.min_p = kNan; })},
      {"typical_p", message([](auto& o) { o.typical_p = -0.1f; })},
      {"repetition_penalty", message([](auto& o) { o.repetition_penalty = 0; })},
      {"presence_penalty", message([](auto& o) { o.presence_penalty = kInfinity; })},
      {"frequency_penalty", message([](auto& o) { o.frequency_penalty = kNan; })},
      {"penalty_last_n", message([](auto& o) { o.penalty_last_n = -2; })},
      {"dry_multiplier", message([](auto& o) { o.dry_multiplier = -1; })},
      {"dry_base", message([](auto& o) { o.dry_base = 0.5f; })},
      {"dry_allowed_length", message([](auto& o) { o.dry_allowed_length = 0; })},
      {"dry_last_n", message([](auto& o) { o.dry_last_n = -2; })},
      {"dry_breakers", message([](auto& o) { o.dry_breakers = {100}; })},
      {"xtc_probability", message([](auto& o) { o.xtc_probability = 2; })},
      {"xtc_threshold", message([](auto& o) { o.xtc_threshold = -1; })},
      {"mirostat", message([](auto& o) { o.mirostat = 1; })},
      {"mirostat_tau", message([](auto& o) { o.mirostat_tau = -1; })},
      {"mirostat_eta", message([](auto& o) { o.mirostat_eta = kNan; })},
      {"logit_bias", message([](auto& o) {
         o.logit_bias = {{100, 1.0f}};
       })},
  };
  for (const auto& [field, text] : found) EXPECT_EQ(text.rfind(field, 0), 0u) << text;
  EXPECT_TRUE(Validate(SamplerOptions(), 100).has_value());
  SamplerOptions ban;
  ban.logit_bias = {{0, -kInfinity}};
  EXPECT_TRUE(Validate(ban, 100).has_value());
}

}  // namespace
}  // namespace lamina::engine
