#include "text/unicode.h"

#include <gtest/gtest.h>

#include <random>

namespace lamina::text {
namespace {

TEST(Utf8, EveryCodePointComesBack) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(text, c);
    const Utf8Char decoded = DecodeUtf8(text, 0);
    ASSERT_TRUE(decoded.valid);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.n_bytes, text.size());
    ASSERT_EQ(UnfinishedUtf8Bytes(text), 0u);
    // Each beginning of the sequence waits for the rest, and alone is one U+FFFD.
    for (size_t n = 1; n < text.size(); ++n) {
      ASSERT_EQ(UnfinishedUtf8Bytes(text.substr(0, n)), n) << std::hex << static_cast<uint32_t>(c);
      ASSERT_EQ(ReplaceInvalidUtf8(text.substr(0, n)), "\uFFFD");
    }
  }
}

TEST(Utf8, BadSequencesAreReplacedByMaximalParts) {
  const struct {
    std::string bad;
    std::string good;
  } kCases[] = {
      // The example of the Unicode standard, table 3-8 and its neighbours.
      {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",
       "a\uFFFD\uFFFD\uFFFD"
       "b\uFFFD"
       "c\uFFFD\uFFFD"
       "d"},
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41",
       "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
       "A"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41",
       "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
       "A"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42",
       "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
       "A\uFFFD\uFFFD"
       "B"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41",
       "\uFFFD\uFFFD\uFFFD\uFFFD"
       "A"},
  };
  for (const auto& c : kCases) {
    EXPECT_FALSE(IsValidUtf8(c.bad));
    EXPECT_EQ(ReplaceInvalidUtf8(c.bad), c.good);
  }
}

TEST(Utf8, AnyBytesBecomeValid) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    const size_t n = random() % 12;
    for (size_t k = 0; k < n; ++k) {
      bytes.push_back(
          static_cast<char>(random() % 3 ? random() : "az\xE4\xB8\xAD\xF0\x9F\x98"[random() % 8]));
    }
    const std::string valid = ReplaceInvalidUtf8(bytes);
    ASSERT_TRUE(IsValidUtf8(valid));
    if (IsValidUtf8(bytes)) {
      ASSERT_EQ(valid, bytes);
    }
    // What waits is the beginning of something valid.
    const size_t n_waiting = UnfinishedUtf8Bytes(bytes);
    ASSERT_LE(n_waiting, std::min<size_t>(3, bytes.size()));
    if (n_waiting > 0) {
      ASSERT_EQ(ReplaceInvalidUtf8(bytes.substr(bytes.size() - n_waiting)), "\uFFFD");
    }
  }
}

TEST(Utf8, WhatCannotBecomeValidDoesNotWait) {
  EXPECT_EQ(UnfinishedUtf8Bytes("\xC0"), 0u);      // overlong
  EXPECT_EQ(UnfinishedUtf8Bytes("\xE0\x80"), 0u);  // overlong
  EXPECT_EQ(UnfinishedUtf8Bytes("\xED\xA0"), 0u);  // surrogate
  EXPECT_EQ(UnfinishedUtf8Bytes("\xF4\x90"), 0u);  // above U+10FFFF
  EXPECT_EQ(UnfinishedUtf8Bytes("\xFF"), 0u);
  EXPECT_EQ(UnfinishedUtf8Bytes("a\x80"), 0u);
  EXPECT_EQ(UnfinishedUtf8Bytes("\x80\x80\x80\x80"), 0u);
}

TEST(CharClasses, OfWellKnownCharacters) {
  const struct {
    char32_t c;
    CharClass char_class;
  } kCases[] = {
      {U'a', CharClass::kLower},     {U'Z', CharClass::kUpper},     {U'5', CharClass::kNumber},
      {U' ', CharClass::kSpace},     {U'\n', CharClass::kSpace},    {0x85, CharClass::kSpace},
      {0xA0, CharClass::kSpace},     {0x200B, CharClass::kOther},   {0x180E, CharClass::kOther},
      {0x3000, CharClass::kSpace},   {0x301, CharClass::kMark},     {0x4E2D, CharClass::kLetter},
      {0x2B0, CharClass::kLetter},   {0x1C5, CharClass::kUpper},    {0xBD, CharClass::kNumber},
      {0x2167, CharClass::kNumber},  {0x1F600, CharClass::kOther},  {U'_', CharClass::kOther},
      {0x100, CharClass::kUpper},    {0x101, CharClass::kLower},    {0xFFFF, CharClass::kOther},
      {0x10FFFF, CharClass::kOther}, {0x110000, CharClass::kOther}, {0xD800, CharClass::kOther},
      {0x1C89, CharClass::kUpper},  // of Unicode 16
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(ClassOf(c.c), c.char_class) << std::hex << static_cast<uint32_t>(c.c);
  }
}

}  // namespace
}  // namespace lamina::text
