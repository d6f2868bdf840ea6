#include "cli/edit_buffer.h"

#include <gtest/gtest.h>

#include "cli/line_editor.h"

namespace lamina::cli {
namespace {

EditBuffer Buffer(std::string_view text) {
  EditBuffer buffer;
  buffer.Set(text);
  return buffer;
}

TEST(EditBufferTest, EditsWholeCharacters) {
  EditBuffer buffer = Buffer("aß€😀");
  buffer.Backspace();
  EXPECT_EQ(buffer.Utf8(), "aß€");
  buffer.Left();
  buffer.Left();
  buffer.Delete();
  EXPECT_EQ(buffer.Utf8(), "a€");
  buffer.Insert(U'é');
  EXPECT_EQ(buffer.Utf8(), "aé€");
  buffer.Right();
  buffer.Right();
  buffer.Delete();
  EXPECT_EQ(buffer.Utf8(), "aé€");
}

TEST(EditBufferTest, MovesByWordsAndLines) {
  EditBuffer buffer = Buffer("first line\nsecond one\nlast");
  EXPECT_EQ(buffer.cursor(), 26u);
  buffer.LineStart();
  EXPECT_EQ(buffer.cursor(), 22u);
  EXPECT_TRUE(buffer.Up());
  EXPECT_EQ(buffer.cursor(), 11u);
  buffer.LineEnd();
  EXPECT_EQ(buffer.cursor(), 21u);
  EXPECT_TRUE(buffer.Up());
  EXPECT_EQ(buffer.cursor(), 10u);
  EXPECT_FALSE(buffer.Up());
  buffer.WordLeft();
  EXPECT_EQ(buffer.cursor(), 6u);
  EXPECT_TRUE(buffer.Down());
  EXPECT_TRUE(buffer.Down());
  EXPECT_EQ(buffer.cursor(), 26u);
  EXPECT_FALSE(buffer.Down());
}

TEST(EditBufferTest, KillsPartsOfTheLine) {
  EditBuffer buffer = Buffer("one\ntwo three");
  buffer.KillWordLeft();
  EXPECT_EQ(buffer.Utf8(), "one\ntwo ");
  buffer.WordLeft();
  buffer.KillToLineEnd();
  EXPECT_EQ(buffer.Utf8(), "one\n");
  buffer.Set("one\ntwo");
  buffer.KillToLineStart();
  EXPECT_EQ(buffer.Utf8(), "one\n");
}

TEST(EditBufferTest, OddBytesBecomeReplacementCharacters) {
  EXPECT_EQ(ToUtf8(FromUtf8("a\xff\xc3z\xe2\x82")),
            "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(HistoryTest, KeepsLinesOfEntriesAndDropsRepeats) {
  History history;
  history.Add("one");
  history.Add("one");
  history.Add("two\nlines \\n here");
  history.Add("");
  const History read = History::Parse(history.Serialize());
  EXPECT_EQ(read.entries(), (std::vector<std::string>{"one", "two\nlines \\n here"}));
}

TEST(HistoryTest, ForgetsTheOldest) {
  History history;
  for (size_t i = 0; i < History::kMostEntries + 5; ++i) history.Add(std::to_string(i));
  EXPECT_EQ(history.entries().size(), History::kMostEntries);
  EXPECT_EQ(history.entries().front(), "5");
}

TEST(LineMarksTest, AreTakenOff) {
  EXPECT_EQ(WithoutLineMarks("one \\\ntwo"), "one \ntwo");
  EXPECT_EQ(WithoutLineMarks("\"\"\"one\ntwo\"\"\""), "one\ntwo");
  EXPECT_EQ(WithoutLineMarks("\"\"\"\none\n\"\"\""), "one");
  EXPECT_EQ(WithoutLineMarks("\"\"\""), "\"\"\"");
  EXPECT_EQ(WithoutLineMarks("plain"), "plain");
}

}  // namespace
}  // namespace lamina::cli
