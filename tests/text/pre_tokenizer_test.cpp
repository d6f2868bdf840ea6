// Every hand-made splitter against its pattern as PCRE2 reads it.
#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "text/unicode.h"

namespace lamina::text {
namespace {

using Pieces = std::vector<std::string>;

Pieces SplitByHand(PieceEnd piece_end, std::string_view text) {
  Pieces pieces;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = piece_end(text, pos);
    EXPECT_GT(end, pos);
    EXPECT_LE(end, text.size());
    if (end <= pos) break;
    pieces.emplace_back(text.substr(pos, end - pos));
    pos = end;
  }
  return pieces;
}

/// All matches of a pattern; the patterns leave nothing out.
class Pattern {
 public:
  explicit Pattern(std::string_view pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
    EXPECT_TRUE(code_) << pattern << " at " << offset;
  }

  Pieces Split(std::string_view text) const {
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
        pcre2_match_data_create_from_pattern(code_.get(), nullptr), pcre2_match_data_free);
    Pieces pieces;
    for (size_t pos = 0; pos < text.size();) {
      const int n = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                pos, 0, data.get(), nullptr);
      EXPECT_GT(n, 0) << text;
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
      EXPECT_EQ(range[0], pos) << text;
      if (n <= 0 || range[1] <= pos) break;
      pieces.emplace_back(text.substr(pos, range[1] - pos));
      pos = range[1];
    }
    return pieces;
  }

 private:
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code_{nullptr, pcre2_code_free};
};

/// Characters on which PCRE2's older Unicode and ours agree, weighted towards borders.
std::string RandomText(std::mt19937& random) {
  static const std::vector<std::string> kAtoms = {" ",
                                                  " ",
                                                  "  ",
                                                  "\t",
                                                  "\n",
                                                  "\r",
                                                  "\r\n",
                                                  "\n\n",
                                                  "\u00a0",
                                                  "\u2028",
                                                  "\u3000",
                                                  "\u0085",
                                                  "a",
                                                  "b",
                                                  "s",
                                                  "S",
                                                  "t",
                                                  "re",
                                                  "RE",
                                                  "Ve",
                                                  "ll",
                                                  "LL",
                                                  "lL",
                                                  "m",
                                                  "D",
                                                  "x",
                                                  "Z",
                                                  "ABC",
                                                  "abc",
                                                  "aBc",
                                                  "'",
                                                  "''",
                                                  "'s",
                                                  "'S",
                                                  "'\u017f",
                                                  "'re",
                                                  "'Re",
                                                  "'ll",
                                                  "'lL",
                                                  "'ve",
                                                  "'D",
                                                  "'x",
                                                  "\u2019s",
                                                  "0",
                                                  "7",
                                                  "12",
                                                  "345",
                                                  "6789",
                                                  "\u00bd",
                                                  "\u2167",
                                                  "\u0663",
                                                  "!",
                                                  ".",
                                                  "...",
                                                  "/",
                                                  "//",
                                                  "-",
                                                  "\"",
                                                  "(",
                                                  "_",
                                                  "+",
                                                  "$",
                                                  "\u20ac",
                                                  "\u00e9",
                                                  "\u00c9",
                                                  "\u01c5",
                                                  "\u02b0",
                                                  "\u00aa",
                                                  "\u4e2d",
                                                  "\u65e5\u672c",
                                                  "\u05d0",
                                                  "\u0914",
                                                  "\u0301",
                                                  "\u0301\u0308",
                                                  "\u093f",
                                                  "\u20dd",
                                                  "\u200d",
                                                  "\ufe0f",
                                                  "\U0001F600",
                                                  "\U0001F468\u200d\U0001F469",
                                                  std::string(1, '\0'),
                                                  "\u200b",
                                                  "\ufeff",
                                                  "\u0130",
                                                  "\u03a3",
                                                  "\u03c2"};
  std::string text;
  const size_t n_atoms = 1 + random() % 14;
  for (size_t i = 0; i < n_atoms; ++i) text += kAtoms[random() % kAtoms.size()];
  return text;
}

class Row : public testing::TestWithParam<size_t> {
 protected:
  const PreTokenizer& row() const { return PreTokenizers()[GetParam()]; }
};

TEST_P(Row, PiecesAreThoseOfThePattern) {
  if (row().pattern.empty()) {
    EXPECT_TRUE(row().piece_end == SmolLmPieceEnd || row().piece_end == WholeTextEnd);
    return;  // several patterns; see below
  }
  const Pattern pattern(row().pattern);
  std::mt19937 random(static_cast<unsigned>(GetParam()) + 1);
  for (int i = 0; i < 6000; ++i) {
    const std::string text = RandomText(random);
    ASSERT_EQ(SplitByHand(row().piece_end, text), pattern.Split(text))
        << testing::PrintToString(text);
  }
}

TEST_P(Row, IsFoundByNameAndPattern) {
  EXPECT_EQ(FindPreTokenizer(row().name), &row());
  if (!row().pattern.empty()) {
    EXPECT_EQ(FindPattern(row().pattern), row().piece_end);
  }
  EXPECT_NE(PreTokenizerNames().find(row().name), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Table, Row, testing::Range<size_t>(0, PreTokenizers().size()),
                         [](const testing::TestParamInfo<size_t>& info) {
                           std::string name(PreTokenizers()[info.param].name);
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

TEST(SmolLm, DigitsAreCutOutBeforeTheGpt2Pattern) {
  const Pattern digits("\\p{N}|\\P{N}+");
  const Pattern gpt2(FindPreTokenizer("gpt-2")->pattern);
  std::mt19937 random(99);
  for (int i = 0; i < 10000; ++i) {
    const std::string text = RandomText(random);
    Pieces expected;
    for (const std::string& part : digits.Split(text)) {
      for (std::string& piece : gpt2.Split(part)) expected.push_back(std::move(piece));
    }
    ASSERT_EQ(SplitByHand(SmolLmPieceEnd, text), expected) << testing::PrintToString(text);
  }
}

TEST(SmolLm, SpacesBeforeADigitStayTogether) {
  EXPECT_EQ(SplitByHand(SmolLmPieceEnd, "a   1"), (Pieces{"a", "   ", "1"}));
  EXPECT_EQ(SplitByHand(Gpt2PieceEnd, "a   1"), (Pieces{"a", "  ", " 1"}));
}

TEST(PreTokenizers, UnknownNamesAreNotFound) {
  EXPECT_EQ(FindPreTokenizer("gpt-3"), nullptr);
  EXPECT_EQ(FindPreTokenizer(""), nullptr);
  EXPECT_EQ(FindPattern(""), nullptr);
}

TEST(PreTokenizers, NamesOfTheSupportedFamiliesAreThere) {
  for (const char* name : {"gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "gpt-4o", "dbrx",
                           "tekken", "refact", "lfm2", "gemma4"}) {
    EXPECT_NE(FindPreTokenizer(name), nullptr) << name;
  }
}

TEST(CasedPatterns, CapitalsGiveBackWhatFollowsTheLastCaselessLetter) {
  // Each is what the pattern of gpt-4o gives: a caseless letter may end the first alternative.
  EXPECT_EQ(SplitByHand(Gpt4oPieceEnd, "AB\u4e2dCD"), (Pieces{"AB\u4e2d", "CD"}));
  EXPECT_EQ(SplitByHand(Gpt4oPieceEnd, "\u0301AB"), (Pieces{"\u0301", "AB"}));
  EXPECT_EQ(SplitByHand(Gpt4oPieceEnd, "HTTPServer's"), (Pieces{"HTTPServer's"}));
}

}  // namespace
}  // namespace lamina::text
