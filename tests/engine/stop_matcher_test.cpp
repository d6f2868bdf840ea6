#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

namespace lamina::engine {
namespace {

struct Outcome {
  std::string text;
  bool stopped;
};

// Pushes `text` in pieces of n bytes; never may more be given out than the text before the stop.
Outcome PushInPieces(const std::vector<std::string>& stops, const std::string& text, size_t n) {
  StopMatcher matcher(stops);
  std::string out;
  for (size_t i = 0; i < text.size(); i += n) out += matcher.Push(text.substr(i, n));
  out += matcher.Finish();
  return {out, matcher.stopped()};
}

TEST(StopMatcherTest, EndsBeforeTheFirstStopHoweverTheTextIsCut) {
  const std::string text = "one two\n\nUser: three END";
  for (size_t n = 1; n <= text.size(); ++n) {
    const auto outcome = PushInPieces({"END", "\nUser:", "threx"}, text, n);
    EXPECT_TRUE(outcome.stopped) << n;
    EXPECT_EQ(outcome.text, "one two\n") << n;
  }
}

TEST(StopMatcherTest, HeldBackTextComesOutAtTheEnd) {
  for (size_t n : {1u, 2u, 5u}) {
    const auto outcome = PushInPieces({"</s>", "aab"}, "aaaaa</s", n);
    EXPECT_FALSE(outcome.stopped);
    EXPECT_EQ(outcome.text, "aaaaa</s");
  }
}

TEST(StopMatcherTest, OverlappingBeginningsDoNotHideAStop) {
  EXPECT_EQ(PushInPieces({"aab"}, "aaaab!", 1).text, "aa");
  EXPECT_EQ(PushInPieces({"abcabd"}, "abcabcabd!", 1).text, "abc");
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayStillMatch) {
  StopMatcher matcher({"STOP"});
  EXPECT_EQ(matcher.Push("go ST"), "go ");
  EXPECT_EQ(matcher.Push("AY"), "STAY");
  EXPECT_EQ(matcher.Push("STO"), "");
  EXPECT_EQ(matcher.Push("P and more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.Push("later"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcherTest, WithoutStopsEverythingIsFinalAtOnce) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.Push("text"), "text");
}

}  // namespace
}  // namespace lamina::engine
