#include "cli/think_dimmer.h"

#include <gtest/gtest.h>

namespace lamina::cli {
namespace {

std::string Stream(const std::string& text, size_t n, bool color, bool thinking) {
  ThinkDimmer dimmer(color, thinking);
  std::string out;
  for (size_t i = 0; i < text.size(); i += n) out += dimmer.Push(text.substr(i, n));
  return out + dimmer.Finish();
}

TEST(ThinkDimmerTest, DimsBetweenTheTagsHoweverTheTextIsCut) {
  const std::string text = "a<think>b <i> c</think>d <th";
  for (size_t n = 1; n <= text.size(); ++n) {
    EXPECT_EQ(Stream(text, n, true, false), "a\x1b[2m<think>b <i> c</think>\x1b[22md <th") << n;
    EXPECT_EQ(Stream(text, n, false, false), text);
  }
}

TEST(ThinkDimmerTest, MayBeginInside) {
  for (size_t n : {1u, 3u, 50u}) {
    EXPECT_EQ(Stream("b</think>c", n, true, true), "\x1b[2mb</think>\x1b[22mc");
  }
}

TEST(ThinkDimmerTest, AnUnfinishedThoughtEndsInTheNormalStyle) {
  EXPECT_EQ(Stream("<think>b</thi", 2, true, false), "\x1b[2m<think>b</thi\x1b[22m");
}

}  // namespace
}  // namespace lamina::cli
