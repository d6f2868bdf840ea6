// Reading metadata: what a sound vocabulary does, and one clear error for each broken one.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "test_vocabularies.h"

namespace lamina::text {
namespace {

using Ids = std::vector<TokenId>;
using format::Metadata;

std::unique_ptr<const Tokenizer> Make(const Metadata& metadata) {
  auto tokenizer = MakeTokenizer(metadata);
  EXPECT_TRUE(tokenizer) << tokenizer.status().message();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

/// The metadata is refused with `code`, and the message names every one of `parts`.
void ExpectError(const Metadata& metadata, Code code, const std::vector<std::string>& parts) {
  const auto tokenizer = MakeTokenizer(metadata);
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code(), code) << tokenizer.error().message();
  for (const std::string& part : parts) {
    EXPECT_NE(tokenizer.error().message().find(part), std::string::npos)
        << tokenizer.error().message() << " does not name " << part;
  }
}

TEST(ByteLevel, MergesInTheOrderOfTheList) {
  const auto t = Make(BpeMetadata(ByteLevelVocabulary(), "gpt-2"));
  EXPECT_EQ(t->Encode("hello", {}), Ids{259});
  EXPECT_EQ(t->Encode(" hello", {}), Ids{260});
  EXPECT_EQ(t->Encode("hellhe", {}), (Ids{258, 256}));
  EXPECT_EQ(t->Encode("lll", {}), (Ids{257, 'l'}));
  EXPECT_EQ(t->Encode("\xE4\xB8\xAD", {}), (Ids{0xE4, 0xB8, 0xAD}));
  EXPECT_EQ(t->Encode("", {}), Ids{});
  EXPECT_EQ(t->Encode(std::string(1, '\0'), {}), Ids{0});
}

TEST(ByteLevel, InvalidUtf8BecomesReplacementCharacters) {
  const auto t = Make(BpeMetadata(ByteLevelVocabulary()));
  EXPECT_EQ(t->Encode("a\xFFz", {}), (Ids{'a', 0xEF, 0xBF, 0xBD, 'z'}));
}

TEST(ByteLevel, AMergeWhoseResultIsMissingFallsBackToBytes) {
  TestVocabulary v = ByteLevelVocabulary();
  v.merges.push_back("x y");       // "xy" is no token
  v.merges.push_back("xy z");      // nor is "xyz"
  v.merges.push_back("\u4e2d a");  // outside the alphabet: never met
  const auto t = Make(BpeMetadata(v, "gpt-2"));
  EXPECT_EQ(t->Encode("xyz hello", {}), (Ids{'x', 'y', 'z', 260}));
}

TEST(ByteLevel, AMissingByteIsLeftOut) {
  TestVocabulary v = ByteLevelVocabulary();
  v.tokens['q'] = "[gone]";
  const auto t = Make(BpeMetadata(v, "gpt-2"));
  EXPECT_EQ(t->Encode("aqb", {}), (Ids{'a', 'b'}));
}

TEST(ByteLevel, IgnoreMergesTakesWholePieces) {
  TestVocabulary v = ByteLevelVocabulary();
  v.Add("zebra");
  EXPECT_EQ(Make(BpeMetadata(v, "llama-bpe"))->Encode("zebra", {}), Ids{264});
  EXPECT_EQ(Make(BpeMetadata(v, "qwen2"))->Encode("zebra", {}).size(), 5u);
}

TEST(ByteLevel, ControlTokensCannotBeWritten) {
  TestVocabulary v = ByteLevelVocabulary();
  v.Add("stop", TokenType::kControl);  // one piece, and ignore_merges looks up pieces
  const auto t = Make(BpeMetadata(v, "llama-bpe"));
  EXPECT_EQ(t->Encode("stop", {}), (Ids{'s', 't', 'o', 'p'}));
  EXPECT_EQ(t->Encode("stop", {.parse_special = true}), Ids{264});
}

TEST(Special, OnlyWhereAskedFor) {
  const auto t = Make(BpeMetadata(ByteLevelVocabulary(), "gpt-2"));
  const std::string text = "hello<|im_end|> hello";
  EXPECT_EQ(t->Encode(text, {.parse_special = true}), (Ids{259, 261, 260}));
  const Ids plain = t->Encode(text, {});
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 261), 0);
  EXPECT_EQ(t->Decode(plain), text);
  // User-defined tokens are text with an id of its own.
  EXPECT_EQ(t->Encode("<tool>a", {}), (Ids{262, 'a'}));
  EXPECT_EQ(t->special_tokens(), (std::vector<std::string>{"<|im_end|>", "<s>"}));
}

TEST(Special, ControlTokensDecodeOnlyWhereAskedFor) {
  const auto t = Make(BpeMetadata(ByteLevelVocabulary()));
  EXPECT_EQ(t->TokenBytes(261), "");
  EXPECT_EQ(t->TokenBytes(261, true), "<|im_end|>");
  EXPECT_EQ(t->TokenBytes(262), "<tool>");
  EXPECT_TRUE(t->IsControl(261));
  EXPECT_FALSE(t->IsControl(262));
  for (const TokenId id :
       {-1, 264, std::numeric_limits<TokenId>::max(), std::numeric_limits<TokenId>::min()}) {
    EXPECT_EQ(t->TokenBytes(id, true), "");
    EXPECT_FALSE(t->IsControl(id));
    EXPECT_FALSE(t->IsEndOfGeneration(id));
  }
  EXPECT_EQ(t->Find("<|im_end|>"), 261);
  EXPECT_EQ(t->Find(" hello"), 260);
  EXPECT_EQ(t->Find("none"), -1);
}

TEST(Special, EveryEndOfGenerationTokenEndsAnAnswer) {
  TestVocabulary v = ByteLevelVocabulary();
  v.Add("<|endoftext|>", TokenType::kControl);  // 264
  v.Add("</s>");                                // 265: text here, so it does not end an answer
  v.Add("<custom>", TokenType::kControl);       // 266
  v.Add("<|eot_id|>", TokenType::kControl);     // 267
  Metadata metadata = BpeMetadata(v);
  metadata.Set("tokenizer.ggml.eos_token_id", uint64_t{263});
  metadata.Set("tokenizer.ggml.eot_token_id", uint64_t{266});
  const auto t = Make(metadata);
  EXPECT_EQ(t->end_of_generation(), (Ids{261, 263, 264, 266, 267}));
  EXPECT_EQ(t->eos(), 263);
}

TEST(Bos, IsAddedWhereTheModelAsksForIt) {
  Metadata metadata = BpeMetadata(ByteLevelVocabulary(), "llama-bpe");
  metadata.Set("tokenizer.ggml.bos_token_id", uint64_t{263});
  EXPECT_EQ(Make(metadata)->Encode("hello", {.add_bos = true}), (Ids{263, 259}));
  EXPECT_EQ(Make(metadata)->Encode("hello", {}), Ids{259});
  metadata.Set("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ(Make(metadata)->Encode("hello", {.add_bos = true}), Ids{259});
}

TEST(Bos, Gemma4BeginsWithItWhateverTheFileSays) {
  TestVocabulary v = SpmVocabulary();
  v.merges = {"a b", "\u2581 ab"};
  Metadata metadata = BpeMetadata(v);
  metadata.Set("tokenizer.ggml.model", std::string("gemma4"));
  metadata.Set("tokenizer.ggml.bos_token_id", uint64_t{1});
  metadata.Set("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ(Make(metadata)->Encode(" abc", {.add_bos = true}), (Ids{1, 266, 262}));
  EXPECT_EQ(Make(metadata)->Encode("\u4e2d", {}), (Ids{3 + 0xE4, 3 + 0xB8, 3 + 0xAD}));
}

TEST(Spm, TheBestScoreMergesFirst) {
  Metadata metadata = SpmMetadata(SpmVocabulary());
  metadata.Set("tokenizer.ggml.add_space_prefix", false);
  const auto t = Make(metadata);
  EXPECT_EQ(t->Encode("abc", {}), (Ids{264, 262}));  // ab|c, not a|bc
  EXPECT_EQ(t->Encode("bcd", {}), (Ids{265, 263}));  // bc and cd tie: the left one
  EXPECT_EQ(t->Encode(" ab", {}), Ids{266});
  EXPECT_EQ(t->Encode("\u4e2d", {}), (Ids{3 + 0xE4, 3 + 0xB8, 3 + 0xAD}));
  EXPECT_EQ(t->Decode(t->Encode("x \u4e2d ab", {})), "x \u4e2d ab");
}

TEST(Spm, ASpaceIsPutInFrontAndTakenAwayAgain) {
  const auto t = Make(SpmMetadata(SpmVocabulary()));
  EXPECT_EQ(t->Encode("ab", {}), Ids{266});
  EXPECT_EQ(t->Encode("ab", {.add_bos = true}), (Ids{1, 266}));
  EXPECT_EQ(t->Encode("", {}), Ids{});
  EXPECT_TRUE(t->DropsLeadingSpace());
  EXPECT_EQ(t->Decode(t->Encode("ab ab", {})), "ab ab");
  EXPECT_EQ(t->Decode(t->Encode(" ab", {})), " ab");
}

TEST(Spm, WithoutByteTokensARunOfUnknownCharactersIsOneToken) {
  TestVocabulary v = SpmVocabulary();
  for (int i = 3; i < 259; ++i) {
    v.tokens[i] = "[" + std::to_string(i) + "]";
    v.types[i] = static_cast<int64_t>(TokenType::kNormal);
  }
  Metadata metadata = SpmMetadata(v);
  metadata.Set("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(Make(metadata)->Encode("a\u4e2d\u4e2da\u4e2d", {}), (Ids{260, 0, 260, 0}));
}

TEST(Errors, AnUnknownModelIsNamedWithThoseSupported) {
  Metadata metadata = BpeMetadata(ByteLevelVocabulary());
  metadata.Set("tokenizer.ggml.model", std::string("bert"));
  ExpectError(metadata, Code::kUnimplemented, {"tokenizer.ggml.model", "bert", "gpt2", "llama"});
  ExpectError(Metadata(), Code::kNotFound, {"tokenizer.ggml.model"});
}

TEST(Errors, AnUnknownPreTokenizerIsNamedWithThoseSupported) {
  ExpectError(BpeMetadata(ByteLevelVocabulary(), "quux"), Code::kUnimplemented,
              {"tokenizer.ggml.pre", "quux", "llama-bpe", "smollm", "gemma4"});
  Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("gpt2"));
  ExpectError(metadata, Code::kUnimplemented, {"tokenizer.ggml.pre", "missing"});
}

TEST(Errors, ListsOfDifferentLengths) {
  TestVocabulary v = ByteLevelVocabulary();
  v.types.pop_back();
  ExpectError(BpeMetadata(v), Code::kInvalidArgument, {"token_type", "263", "264"});
  v = SpmVocabulary();
  v.scores.push_back(0);
  ExpectError(SpmMetadata(v), Code::kInvalidArgument, {"scores", "269", "268"});
}

TEST(Errors, ListsOfWrongTypes) {
  const TestVocabulary v = SpmVocabulary();
  for (const char* key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    for (const format::Value& value :
         {format::Value(uint64_t{1}), format::Value(std::string("x")), format::Value(true)}) {
      Metadata metadata = SpmMetadata(v);
      metadata.Set(key, value);
      ExpectError(metadata, Code::kInvalidArgument, {key});
    }
  }
  Metadata metadata = SpmMetadata(v);
  metadata.Set("tokenizer.ggml.tokens", std::vector<int64_t>(268, 7));
  ExpectError(metadata, Code::kInvalidArgument, {"tokenizer.ggml.tokens"});
  metadata = SpmMetadata(v);
  metadata.Set("tokenizer.ggml.scores", v.tokens);
  ExpectError(metadata, Code::kInvalidArgument, {"tokenizer.ggml.scores"});
  metadata = BpeMetadata(ByteLevelVocabulary());
  metadata.Set("tokenizer.ggml.merges", std::vector<double>{1});
  ExpectError(metadata, Code::kInvalidArgument, {"tokenizer.ggml.merges"});
}

TEST(Errors, ByteTokensMustBeBytes) {
  for (const char* name : {"<0x-1>", "<0x100>", "<0xG0>", "<0x1>", "0x41", "<0x41", "", "<0x 1>"}) {
    TestVocabulary v = SpmVocabulary();
    v.tokens[10] = name;
    ExpectError(SpmMetadata(v), Code::kInvalidArgument, {"tokenizer.ggml.tokens[10]", "byte"});
  }
}

TEST(Errors, TypesScoresAndMerges) {
  TestVocabulary v = SpmVocabulary();
  v.types[5] = 7;
  ExpectError(SpmMetadata(v), Code::kInvalidArgument, {"token_type[5]", "7"});
  v.types[5] = -1;
  ExpectError(SpmMetadata(v), Code::kInvalidArgument, {"token_type[5]", "-1"});
  v = SpmVocabulary();
  v.scores[260] = std::nan("");
  ExpectError(SpmMetadata(v), Code::kInvalidArgument, {"scores[260]"});
  v = ByteLevelVocabulary();
  v.merges.push_back("nospace");
  ExpectError(BpeMetadata(v), Code::kInvalidArgument, {"merges[5]", "nospace"});
  v.merges.back() = "";
  ExpectError(BpeMetadata(v), Code::kInvalidArgument, {"merges[5]"});
}

TEST(Errors, IdsOutOfRange) {
  for (const char* key : {"bos_token_id", "eos_token_id", "unknown_token_id", "eot_token_id"}) {
    Metadata metadata = SpmMetadata(SpmVocabulary());
    metadata.Set(std::string("tokenizer.ggml.") + key, uint64_t{268});
    ExpectError(metadata, Code::kInvalidArgument, {key, "268"});
    metadata.Set(std::string("tokenizer.ggml.") + key, int64_t{-1});
    ExpectError(metadata, Code::kInvalidArgument, {key});
  }
}

TEST(Errors, NoTokens) {
  ExpectError(SpmMetadata({}), Code::kInvalidArgument, {"tokenizer.ggml.tokens", "0"});
  Metadata metadata = BpeMetadata(ByteLevelVocabulary());
  Metadata without_merges;
  for (const auto& [key, value] : metadata.entries()) {
    if (key != "tokenizer.ggml.merges") without_merges.Set(key, value);
  }
  ExpectError(without_merges, Code::kNotFound, {"tokenizer.ggml.merges"});
}

}  // namespace
}  // namespace lamina::text
