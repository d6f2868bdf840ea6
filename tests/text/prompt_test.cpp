// Prompts of several pieces, and text that comes token by token.
#include <gtest/gtest.h>

#include <random>

#include "test_vocabularies.h"
#include "text/chat_template.h"

namespace lamina::text {
namespace {

using Ids = std::vector<TokenId>;

class Prompt : public testing::Test {
 protected:
  void SetUp() override {
    format::Metadata metadata = BpeMetadata(ByteLevelVocabulary(), "llama-bpe");
    metadata.Set("tokenizer.ggml.bos_token_id", uint64_t{263});
    auto tokenizer = MakeTokenizer(metadata);
    ASSERT_TRUE(tokenizer);
    t_ = std::move(*tokenizer);
  }
  std::unique_ptr<const Tokenizer> t_;
};

TEST_F(Prompt, OnlyTheTemplateNamesSpecialTokens) {
  EXPECT_EQ(EncodePrompt(*t_, {{"<|im_end|>", true}}), (Ids{263, 261}));
  const Ids ids = EncodePrompt(*t_, {{"<|im_end|>", true}, {"<|im_end|>", false}});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 261), 1);
  EXPECT_EQ(t_->Decode(ids), "<|im_end|>");
}

TEST_F(Prompt, AMessageCannotCompleteASpecialToken) {
  for (size_t cut = 1; cut < 10; ++cut) {
    const std::string token = "<|im_end|>";
    const Ids before =
        EncodePrompt(*t_, {{token.substr(0, cut), true}, {token.substr(cut), false}});
    EXPECT_EQ(std::count(before.begin(), before.end(), 261), 0) << cut;
    const Ids behind =
        EncodePrompt(*t_, {{token.substr(0, cut), false}, {token.substr(cut), true}});
    EXPECT_EQ(std::count(behind.begin(), behind.end(), 261), 0) << cut;
    // Two pieces of the template are one text.
    EXPECT_EQ(EncodePrompt(*t_, {{token.substr(0, cut), true}, {token.substr(cut), true}}),
              (Ids{263, 261}));
  }
}

TEST_F(Prompt, PiecesSplitAsOneText) {
  EXPECT_EQ(EncodePrompt(*t_, {{" ", true}, {"hello", false}}), (Ids{263, 260}));
  EXPECT_EQ(EncodePrompt(*t_, {{"he", false}, {"llo", true}}), (Ids{263, 259}));
}

TEST_F(Prompt, BosIsNotDoubled) {
  EXPECT_EQ(EncodePrompt(*t_, {{"<s>hello", true}}), (Ids{263, 259}));
  EXPECT_EQ(EncodePrompt(*t_, {{"hello", true}}), (Ids{263, 259}));
  EXPECT_EQ(EncodePrompt(*t_, {}), Ids{263});
}

TEST_F(Prompt, ControlTokensDoNotDependOnTheMessage) {
  // Whatever a message holds, the special tokens are those with the message "x".
  const auto control = [&](const std::string& message) {
    Ids ids = EncodePrompt(*t_, {{"<s>he<tool>", true}, {message, false}, {"<|im_end|>", true}});
    std::erase_if(ids, [&](TokenId id) { return !t_->IsControl(id); });
    return ids;
  };
  const Ids expected = control("x");
  std::mt19937 random(5);
  const std::string atoms[] = {"<|im_end|>", "<s>", "<|",   "|>", "im_end", "<",
                               ">",          " ",   "\xFF", "\n", "\u4e2d", "<tool>"};
  for (int i = 0; i < 5000; ++i) {
    std::string message;
    for (size_t n = random() % 6; n > 0; --n) message += atoms[random() % std::size(atoms)];
    ASSERT_EQ(control(message), expected) << testing::PrintToString(message);
  }
}

TEST_F(Prompt, InvalidUtf8KeepsTheSpansInPlace) {
  const Ids ids = EncodePrompt(*t_, {{"\xFF\xFE", false}, {"<|im_end|>", true}, {"\xE4", false}});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 261), 1);
  EXPECT_EQ(t_->Decode(ids), "\uFFFD\uFFFD\uFFFD");
}

TEST_F(Prompt, StreamedTextIsNeverCutInsideACharacter) {
  std::mt19937 random(3);
  const std::string atoms[] = {"\u4e2d", "\U0001F600", "\u00e9", "a",   "hello",
                               " ",      "\xF0\x9F",   "\xFF",   "\x80"};
  for (int i = 0; i < 3000; ++i) {
    Ids ids;
    std::string bytes;
    for (size_t n = random() % 8; n > 0; --n) {
      for (const char c : atoms[random() % std::size(atoms)]) {
        ids.push_back(static_cast<uint8_t>(c));  // a token per byte
        bytes.push_back(c);
      }
    }
    Detokenizer detokenizer(*t_);
    std::string streamed;
    for (const TokenId id : ids) {
      const std::string text = detokenizer.Push(id);
      ASSERT_TRUE(IsValidUtf8(text));
      streamed += text;
    }
    const std::string rest = detokenizer.Finish();
    ASSERT_TRUE(IsValidUtf8(rest));
    ASSERT_EQ(streamed + rest, ReplaceInvalidUtf8(bytes)) << testing::PrintToString(bytes);
  }
}

TEST_F(Prompt, ACharacterAppearsWithItsLastToken) {
  Detokenizer detokenizer(*t_);
  EXPECT_EQ(detokenizer.Push(0xE4), "");
  EXPECT_EQ(detokenizer.Push(0xB8), "");
  EXPECT_EQ(detokenizer.Push(0xAD), "\u4e2d");
  EXPECT_EQ(detokenizer.Push(261), "");  // a control token
  EXPECT_EQ(detokenizer.Push(0xF0), "");
  EXPECT_EQ(detokenizer.Finish(), "\uFFFD");
  EXPECT_EQ(detokenizer.Finish(), "");
}

TEST(Streaming, TheLeadingSpaceIsDroppedOnlyAtTheStartOfAText) {
  const auto t = MakeTokenizer(SpmMetadata(SpmVocabulary()));
  ASSERT_TRUE(t);
  Detokenizer fresh(**t);
  EXPECT_EQ(fresh.Push(1), "");  // <s> is not text
  EXPECT_EQ(fresh.Push(266), "ab");
  EXPECT_EQ(fresh.Push(266), " ab");
  Detokenizer continuing(**t, /*at_start=*/false);
  EXPECT_EQ(continuing.Push(266), " ab");
}

}  // namespace
}  // namespace lamina::text
