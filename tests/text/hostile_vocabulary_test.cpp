// Vocabularies and texts made to fall into one place of a hash table: building and encoding take
// the time that any other of their size takes.
#include <gtest/gtest.h>

#include <ctime>

#include "test_vocabularies.h"

namespace lamina::text {
namespace {

double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Far above what a megabyte takes (0.1 s), far below what 100,000 tokens in one place do (5e9
// probes).
constexpr double kManySeconds = 2.0;

/// The inverse of an odd number modulo 2^64.
uint64_t Inverse(uint64_t odd) {
  uint64_t inverse = odd;
  for (int i = 0; i < 6; ++i) inverse *= 2 - odd * inverse;
  return inverse;
}

/// n tokens of 8 bytes whose low 20 bits of hash are equal under an unseeded multiplicative hash
/// (h = (n ^ w) m, h ^= h >> 32, h ^= h >> 29), one bit at a time backwards from the wanted hash.
std::vector<std::string> CollidingTokens(size_t n) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  std::vector<std::string> tokens;
  for (uint64_t i = 1; i <= n; ++i) {
    uint64_t hash = i << 20;
    hash ^= hash >> 29 ^ hash >> 58;
    hash ^= hash >> 32;
    const uint64_t word = (hash * Inverse(kMultiplier)) ^ (8 * kMultiplier);
    tokens.emplace_back(reinterpret_cast<const char*>(&word), 8);
  }
  return tokens;
}

TEST(HostileVocabulary, CollidingTokensDoNotMakeTheIndexSlow) {
  const double start = CpuSeconds();
  Vocabulary vocabulary;
  const std::vector<std::string> tokens = CollidingTokens(125'000);
  for (const std::string& token : tokens) vocabulary.Add(token, TokenType::kNormal);
  vocabulary.BuildIndex();
  for (size_t i = 0; i < tokens.size(); ++i) {
    ASSERT_EQ(vocabulary.FindText(tokens[i]), static_cast<TokenId>(i));
  }
  EXPECT_LT(CpuSeconds() - start, kManySeconds);
}

TEST(HostileVocabulary, EqualTokensDoNotMakeTheIndexSlow) {
  const double start = CpuSeconds();
  Vocabulary vocabulary;
  vocabulary.Add("a", TokenType::kControl);
  for (int i = 0; i < 1'000'000; ++i) vocabulary.Add("a", TokenType::kUserDefined);
  vocabulary.Add("a", TokenType::kNormal);
  for (int i = 0; i < 1'000'000; ++i) vocabulary.Add("a", TokenType::kNormal);
  vocabulary.BuildIndex();
  EXPECT_EQ(vocabulary.FindAny("a"), 0);
  EXPECT_EQ(vocabulary.FindText("a"), 1'000'001);
  EXPECT_LT(CpuSeconds() - start, kManySeconds);
}

// Of ids below 2^20 so many pairs differ by multiples of what the low bits of an unseeded product
// do not see that one slot can be filled at will.
TEST(HostileVocabulary, CollidingMergesDoNotMakeTheirTableSlow) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  constexpr size_t kMerges = 100'000, kMask = (1 << 18) - 1;
  std::vector<std::pair<TokenId, TokenId>> pairs;
  for (TokenId left = 0; pairs.size() < kMerges; ++left) {
    // The low 18 bits of hash ^ hash >> 32 are those of right * m, folded with what left adds
    // above.
    for (TokenId right = 0; right < 4096 && pairs.size() < kMerges; ++right) {
      const uint64_t pair =
          uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
      const uint64_t hash = pair * kMultiplier;
      if (((hash ^ hash >> 32) & kMask) < 64) pairs.emplace_back(left, right);
    }
  }
  const double start = CpuSeconds();
  PairMerges merges(kMerges);
  for (size_t i = 0; i < pairs.size(); ++i) {
    merges.Add(pairs[i].first, pairs[i].second, {static_cast<uint32_t>(i), 0});
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto merge = merges.Find("", {pairs[i].first, 0, 1}, {pairs[i].second, 1, 1});
    ASSERT_TRUE(merge && merge->rank == i);
  }
  EXPECT_LT(CpuSeconds() - start, kManySeconds);
}

// 1 MB of pieces that collide: the cache of pieces holds one of them at a time, and no more is
// lost.
TEST(HostileVocabulary, CollidingPiecesDoNotMakeEncodingSlow) {
  TestVocabulary v = ByteLevelVocabulary();
  const auto tokenizer = MakeTokenizer(BpeMetadata(v));
  ASSERT_TRUE(tokenizer);
  std::string text;
  for (const std::string& token : CollidingTokens(60'000)) {
    for (const char c : token) {  // Letters, so that the splitter leaves a piece of 16.
      text += static_cast<char>('a' + (c >> 4 & 15));
      text += static_cast<char>('a' + (c & 15));
    }
    text += ' ';
  }
  ASSERT_GE(text.size(), size_t{1'000'000});
  const double start = CpuSeconds();
  EXPECT_GT((*tokenizer)->Encode(text, {}).size(), size_t{100'000});
  EXPECT_LT(CpuSeconds() - start, kManySeconds);
}

}  // namespace
}  // namespace lamina::text
