#include <gtest/gtest.h>

#include <limits>

#include "text/byte_level.h"
#include "text/loaders.h"

namespace lamina::text {
namespace {

void ExpectRanksInOrder(const std::vector<double>& scores) {
  const std::vector<uint32_t> ranks = RanksOfScores(scores);
  ASSERT_EQ(ranks.size(), scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    EXPECT_LT(ranks[i], std::numeric_limits<uint32_t>::max());  // Stands for no rank.
    for (size_t j = 0; j < scores.size(); ++j) {
      EXPECT_EQ(ranks[i]<ranks[j], scores[i]> scores[j]) << scores[i] << " " << scores[j];
    }
  }
}

TEST(RanksOfScores, HigherScoresHaveLowerRanks) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ExpectRanksInOrder({0, -0.0, -1, -2, -1, 3.5, -1e9f, 1e-40f, -1e-40f, kInfinity, -kInfinity,
                      std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()});
  // Not in f32: 0.1, and two that f32 cannot tell apart.
  ExpectRanksInOrder({0.1, 0, -5, 1 + 1e-12, 1, -kInfinity, 0.1, 1e300});
}

TEST(BytesOfVisible, EveryByteComesBack) {
  // As GPT-2 defines the alphabet: visible characters stand for themselves, the others follow
  // U+0100.
  int n_invisible = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int code_point = visible ? byte : 256 + n_invisible++;
    std::string text;
    if (code_point < 0x80) {
      text += static_cast<char>(code_point);
    } else {
      text += static_cast<char>(0xC0 | code_point >> 6);
      text += static_cast<char>(0x80 | (code_point & 0x3F));
    }
    EXPECT_EQ(BytesOfVisible("a" + text + "b"),
              "a" + std::string(1, static_cast<char>(byte)) + "b");
  }
}

TEST(BytesOfVisible, WhatIsOutsideTheAlphabetIsNothing) {
  for (const char* text :
       {" ", "\n", "a b", "\xC2", "\xC2\xA0", "\xC2\xAD", "\xC4", "\xC5\x84", "\xC6\x80", "\xC3(",
        "\x80", "\xC0\xA1", "\xC1\xA1", "\xE4\xBD\xA0", "\xF0\x9F\x98\x80", "\xFF"}) {
    EXPECT_FALSE(BytesOfVisible(text)) << text;
  }
  EXPECT_EQ(BytesOfVisible(""), "");
}

}  // namespace
}  // namespace lamina::text
