// Drafters that look tokens up, against plain searches of the text.
#include "engine/drafter.h"

#include <gtest/gtest.h>

#include <map>
#include <string_view>
#include <vector>

#include "engine/drafters/lookup.h"
#include "engine/random.h"

namespace lamina::engine {
namespace {

constexpr int64_t kMostTokens = 600;

std::unique_ptr<Drafter> Make(std::string_view name) {
  for (const DrafterKind& kind : DrafterKinds()) {
    if (kind.name == name) return std::move(*kind.make({kMostTokens, 100, nullptr, nullptr}));
  }
  return nullptr;
}

std::vector<int32_t> Drafted(Drafter& drafter, const std::vector<int32_t>& text, int most = 15) {
  Draft draft;
  DraftLimits limits;
  limits.most = most;
  drafter.Propose(text, limits, &draft);
  return {draft.tokens.begin(), draft.tokens.begin() + draft.n};
}

// Texts of few different tokens, some with copied parts.
std::vector<int32_t> SomeText(uint64_t seed) {
  Random random(seed);
  const uint64_t n_different = 2 + random.Next() % 30;
  std::vector<int32_t> text;
  while (text.size() < kMostTokens) {
    if (text.size() > 20 && random.Next() % 20 == 0) {
      const size_t begin = random.Next() % (text.size() - 10);
      for (size_t i = 0; i < 10; ++i) text.push_back(text[begin + i]);
    }
    text.push_back(static_cast<int32_t>(random.Next() % n_different));
  }
  text.resize(kMostTokens);
  return text;
}

// Length of the longest common end of text[0, end) and all of the text.
size_t CommonEnd(const std::vector<int32_t>& text, size_t end) {
  size_t n = 0;
  while (n < end && text[end - 1 - n] == text[text.size() - 1 - n]) ++n;
  return n;
}

TEST(Drafters, TheTableHasEachName) {
  std::string names;
  for (const DrafterKind& kind : DrafterKinds()) {
    names += std::string(kind.name) + " ";
    ASSERT_LE(kind.priors.size(), static_cast<size_t>(kMaxDraftClasses));
    for (float prior : kind.priors) EXPECT_TRUE(prior > 0 && prior < 1);
  }
  EXPECT_EQ(names, "ngram suffix draft ");
}

TEST(Drafters, LongerMatchesAndFewerAlternativesAreOtherClasses) {
  EXPECT_LT(LookupClass(1, 1.0), LookupClass(2, 0.1));
  EXPECT_LT(LookupClass(5, 0.5), LookupClass(5, 0.7));
  EXPECT_LT(LookupClass(5, 0.7), LookupClass(5, 1.0));
  EXPECT_EQ(LookupClass(32, 1.0), LookupClass(5000, 1.0));
  EXPECT_EQ(static_cast<size_t>(LookupClass(5000, 1.0)) + 1, LookupPriors().size());
}

TEST(Drafters, NgramContinuesTheLastPlaceOfTheLastTokens) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const auto all = SomeText(seed);
    const auto drafter = Make("ngram");
    for (size_t n = 0; n <= all.size(); n += 1 + seed) {
      const std::vector<int32_t> text(all.begin(), all.begin() + static_cast<long>(n));
      size_t best_end = 0, best = 0;
      for (size_t end = 1; end < n; ++end) {
        const size_t common = std::min<size_t>(4, CommonEnd(text, end));
        if (common >= best && common > 0) best = common, best_end = end;
      }
      const auto draft = Drafted(*drafter, text);
      ASSERT_EQ(draft.empty(), best == 0) << seed << " " << n;
      for (size_t i = 0; i < draft.size(); ++i) {
        const int32_t want = best_end + i < n ? text[best_end + i] : draft[best_end + i - n];
        ASSERT_EQ(draft[i], want) << seed << " " << n << " " << i;
      }
    }
  }
}

TEST(Drafters, SuffixTakesTheMostFrequentContinuationOfTheLongestMatch) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const auto all = SomeText(seed);
    const auto drafter = Make("suffix");
    for (size_t n = 0; n <= all.size(); n += 1 + seed) {
      const std::vector<int32_t> text(all.begin(), all.begin() + static_cast<long>(n));
      size_t longest = 0;
      for (size_t end = 1; end < n; ++end) longest = std::max(longest, CommonEnd(text, end));
      std::map<int32_t, std::pair<int, size_t>> followed;  // Token: how often, where last.
      for (size_t end = 1; end < n && longest > 0; ++end) {
        if (CommonEnd(text, end) < longest) continue;
        ++followed[text[end]].first;
        followed[text[end]].second = end;
      }
      const auto draft = Drafted(*drafter, text);
      ASSERT_EQ(draft.empty(), longest == 0) << seed << " " << n;
      if (draft.empty()) continue;
      const auto better = [](const auto& a, const auto& b) { return a.second < b.second; };
      const auto best = std::max_element(followed.begin(), followed.end(), better);
      ASSERT_EQ(draft[0], best->first) << seed << " " << n << " after " << longest;
    }
  }
}

TEST(Drafters, ATextInALoopIsDraftedOn) {
  for (const char* name : {"ngram", "suffix"}) {
    for (int period : {1, 2, 3, 7}) {
      const auto drafter = Make(name);
      std::vector<int32_t> text;
      for (int i = 0; i < 60; ++i) text.push_back(i % period);
      const auto draft = Drafted(*drafter, text);
      ASSERT_EQ(draft.size(), 15u) << name << " " << period;
      for (size_t i = 0; i < draft.size(); ++i) {
        EXPECT_EQ(draft[i], static_cast<int32_t>(60 + i) % period) << name << " " << period;
      }
    }
  }
}

TEST(Drafters, FullOrEmptyTextsGiveNothingOrSomethingButNoHarm) {
  for (const char* name : {"ngram", "suffix"}) {
    const auto drafter = Make(name);
    EXPECT_TRUE(Drafted(*drafter, {}).empty());
    EXPECT_TRUE(Drafted(*drafter, {7}).empty());
    EXPECT_EQ(Drafted(*drafter, {7, 7}, 3), (std::vector<int32_t>{7, 7, 7}));
    EXPECT_LE(Drafted(*drafter, SomeText(3), 2).size(), 2u);
  }
}

}  // namespace
}  // namespace lamina::engine
