#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace lamina::cli {
namespace {

TEST(Printable, WritesControlCharactersOut) {
  EXPECT_EQ(Printable("a\x1b[31mb\x07\x7f\r"), "a\\x1b[31mb\\x07\\x7f\\x0d");
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\x9b");  // A control sequence in one character.
}

TEST(Printable, KeepsText) {
  for (const char* text :
       {"", "two\nlines\tand", "caf\xc3\xa9 \xc2\xa0 \xe6\xbc\xa2", "\xff\xc2"}) {
    EXPECT_EQ(Printable(text), text);
  }
}

TEST(Shown, IsTheTextItselfWhereNoTerminalIs) {
  if (IsTerminal(stdout)) GTEST_SKIP() << "standard output is a terminal";
  EXPECT_EQ(Shown("\x1b"), "\x1b");
}

}  // namespace
}  // namespace lamina::cli
