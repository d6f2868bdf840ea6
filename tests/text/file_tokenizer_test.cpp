// tokenizer.json, tokenizer.model and tekken.json: what they mean, and one clear error for each
// broken one. That the real ones agree with the reference is tests/oracles' part.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "test_vocabularies.h"
#include "tests/support/paths.h"
#include "text/loaders.h"

namespace lamina::text {
namespace {

using Ids = std::vector<TokenId>;
using nlohmann::json;

json SmallJson() {
  return json::parse(R"({
    "added_tokens": [{"id": 9, "content": "<s>", "special": true},
                     {"id": 10, "content": "<w>", "special": false, "single_word": true},
                     {"id": 11, "content": "<l>", "special": false, "lstrip": true, "rstrip": true}],
    "normalizer": null, "pre_tokenizer": null, "decoder": null, "post_processor": null,
    "model": {"type": "BPE", "unk_token": "?", "fuse_unk": true, "byte_fallback": false,
              "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "?": 5, "\u2581": 6, "\u2581a": 7, "1": 8},
              "merges": [["a", "b"], ["ab", "c"], ["\u2581", "a"]]}})");
}

Result<std::unique_ptr<const Tokenizer>> FromJson(const json& document) {
  return std::make_unique<const BpeTokenizer>(TRY(PartsFromTokenizerJson(document.dump())));
}

Ids EncodeWith(const json& document, const std::string& text, EncodeOptions options = {}) {
  const auto tokenizer = FromJson(document);
  EXPECT_TRUE(tokenizer) << tokenizer.status().message();
  return tokenizer ? (*tokenizer)->Encode(text, options) : Ids{-99};
}

void ExpectError(const Result<TokenizerParts>& parts, Code code,
                 const std::vector<std::string>& names) {
  ASSERT_FALSE(parts);
  EXPECT_EQ(parts.error().code(), code) << parts.error().message();
  for (const std::string& name : names) {
    EXPECT_NE(parts.error().message().find(name), std::string::npos)
        << parts.error().message() << " does not name " << name;
  }
}

void ExpectJsonError(const json& document, Code code, const std::vector<std::string>& names) {
  ExpectError(PartsFromTokenizerJson(document.dump()), code, names);
}

TEST(TokenizerJson, MergesAndUnknownRuns) {
  EXPECT_EQ(EncodeWith(SmallJson(), "abcab"), (Ids{4, 3}));
  EXPECT_EQ(EncodeWith(SmallJson(), "axyzb"), (Ids{0, 5, 1}));
  json document = SmallJson();
  document["model"]["fuse_unk"] = false;
  EXPECT_EQ(EncodeWith(document, "axyb"), (Ids{0, 5, 5, 1}));
  document["model"]["merges"] = {"a b", "ab c"};  // the older way of writing them
  EXPECT_EQ(EncodeWith(document, "abc"), Ids{4});
}

TEST(TokenizerJson, AddedTokensTakeWhiteSpaceAlong) {
  EXPECT_EQ(EncodeWith(SmallJson(), "a <l> b"), (Ids{0, 11, 1}));
  EXPECT_EQ(EncodeWith(SmallJson(), "a<w>b"), (Ids{0, 5, 1}));  // not between letters
  EXPECT_EQ(EncodeWith(SmallJson(), "<w>"), Ids{10});
  EXPECT_EQ(EncodeWith(SmallJson(), "<s>", {.parse_special = true}), Ids{9});
  EXPECT_EQ(EncodeWith(SmallJson(), "<s>"), Ids{5});
}

TEST(TokenizerJson, Normalizers) {
  json document = SmallJson();
  document["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "Prepend"}, {"prepend", "\u2581"}},
        {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}};
  EXPECT_EQ(EncodeWith(document, "a a"), (Ids{7, 7}));
  EXPECT_EQ(EncodeWith(document, ""), Ids{});
  document["model"]["vocab"]["\u00e9"] = 12;
  document["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(EncodeWith(document, "e\u0301"), Ids{12});
}

TEST(TokenizerJson, Metaspace) {
  json document = SmallJson();
  document["pre_tokenizer"] = {{"type", "Metaspace"}, {"prepend_scheme", "first"}, {"split", true}};
  EXPECT_EQ(EncodeWith(document, "a a"), (Ids{7, 7}));
  // Only at the beginning of the input.
  EXPECT_EQ(EncodeWith(document, "<w> a"), (Ids{10, 7}));
  EXPECT_EQ(EncodeWith(document, "<w>\u2581a"), (Ids{10, 7}));
  document["pre_tokenizer"]["prepend_scheme"] = "never";
  EXPECT_EQ(EncodeWith(document, "a a"), (Ids{0, 7}));
}

TEST(TokenizerJson, SplitBehaviors) {
  // Pieces show in what merges: "ab" is one token unless a border lies inside.
  const struct {
    const char* behavior;
    bool invert;
    Ids ids;  // of "abab" split at "b"
  } kCases[] = {
      {"Isolated", false, {0, 1, 0, 1}},
      {"Removed", false, {0, 0}},
      {"Removed", true, {1, 1}},
      {"MergedWithPrevious", false, {3, 3}},
      {"MergedWithNext", false, {0, 1, 0, 1}},
      {"Contiguous", false, {0, 1, 0, 1}},
      {"MergedWithPrevious", true, {0, 1, 0, 1}},
      {"MergedWithNext", true, {3, 3}},
  };
  for (const char* kind : {"String", "Regex"}) {
    for (const auto& c : kCases) {
      json document = SmallJson();
      document["pre_tokenizer"] = {{"type", "Split"},
                                   {"pattern", {{kind, "b"}}},
                                   {"behavior", c.behavior},
                                   {"invert", c.invert}};
      EXPECT_EQ(EncodeWith(document, "abab"), c.ids) << kind << " " << c.behavior << c.invert;
    }
  }
}

TEST(TokenizerJson, AnUnknownPatternIsBounded) {
  json document = SmallJson();
  document["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(a+)+$|(a|b|ab)*c"}}}, {"behavior", "Isolated"}};
  // Exponential without a bound; every character still has its token.
  std::string text(5000, 'a');
  text += "!";
  const auto tokenizer = FromJson(document);
  ASSERT_TRUE(tokenizer) << tokenizer.status().message();
  EXPECT_EQ((*tokenizer)->Encode(text, {}).size(), 5001u);
}

TEST(TokenizerJson, ErrorsNameTheField) {
  json d = SmallJson();
  d["model"]["type"] = "Unigram";
  ExpectJsonError(d, Code::kUnimplemented, {"model.type", "Unigram", "BPE"});
  d = SmallJson();
  d["model"]["vocab"] = {{"a", 0.5}, {"b", 1}};
  ExpectJsonError(d, Code::kInvalidArgument, {"model.vocab"});
  d["model"]["vocab"] = {{"a", -1}};
  ExpectJsonError(d, Code::kInvalidArgument, {"model.vocab"});
  d["model"]["vocab"] = {{"a", 1}, {"b", 1}};
  ExpectJsonError(d, Code::kInvalidArgument, {"model.vocab", "b"});
  d["model"]["vocab"] = {{"a", 4000000000u}};
  ExpectJsonError(d, Code::kInvalidArgument, {"model.vocab", "4000000000"});
  d["model"]["vocab"] = json::array({1, 2});
  ExpectJsonError(d, Code::kInvalidArgument, {"model.vocab"});
  d = SmallJson();
  d["model"]["merges"].push_back({"b", "c"});
  ExpectJsonError(d, Code::kInvalidArgument, {"model.merges[3]", "missing"});
  d["model"]["merges"].back() = {"a", "b", "c"};
  ExpectJsonError(d, Code::kInvalidArgument, {"model.merges[3]"});
  d["model"]["merges"].back() = "ab";
  ExpectJsonError(d, Code::kInvalidArgument, {"model.merges[3]"});
  d["model"]["merges"].back() = 7;
  ExpectJsonError(d, Code::kInvalidArgument, {"model.merges[3]"});
  d = SmallJson();
  d["model"]["unk_token"] = "none";
  ExpectJsonError(d, Code::kInvalidArgument, {"unk_token", "none"});
  d = SmallJson();
  d["pre_tokenizer"] = {{"type", "Punctuation"}};
  ExpectJsonError(d, Code::kUnimplemented, {"pre_tokenizer.type", "Punctuation", "ByteLevel"});
  d["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", "("}}}}}}};
  ExpectJsonError(d, Code::kInvalidArgument, {"pre_tokenizer.pretokenizers[0].pattern"});
  d = SmallJson();
  d["normalizer"] = {{"type", "Lowercase"}};
  ExpectJsonError(d, Code::kUnimplemented, {"normalizer.type", "Lowercase", "NFC"});
  d = SmallJson();
  d["added_tokens"][1]["id"] = -1;
  ExpectJsonError(d, Code::kInvalidArgument, {"added_tokens[1].id"});
  d["added_tokens"][1] = {{"id", 10}};
  ExpectJsonError(d, Code::kInvalidArgument, {"added_tokens[1].content"});
  ExpectJsonError(json::array(), Code::kInvalidArgument, {"model"});
  ExpectError(PartsFromTokenizerJson("{\"model\": "), Code::kInvalidArgument, {"byte"});
  ExpectError(PartsFromTokenizerJson(""), Code::kInvalidArgument, {"byte"});
}

TEST(TokenizerJson, DeepNestingIsRefused) {
  const std::string deep = "{\"x\": " + std::string(100000, '[');
  ExpectError(PartsFromTokenizerJson(deep), Code::kInvalidArgument, {"nested deeper"});
}

TEST(TokenizerJson, EveryTruncationIsAnError) {
  const std::string whole = SmallJson().dump();
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(PartsFromTokenizerJson(whole.substr(0, n))) << n;
  }
}

std::string Message(int number, const std::string& content) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(content.size()) +
         content;
}

std::string SmallSentencePiece(char model_type = 2) {
  std::string model;
  const std::pair<const char*, char> kPieces[] = {{"<unk>", 2},  {"<s>", 3},      {"</s>", 3},
                                                  {"\u2581", 1}, {"a", 1},        {"b", 1},
                                                  {"ab", 1},     {"\u2581ab", 1}, {"<0x63>", 6}};
  float score = 0;
  for (const auto& [text, type] : kPieces) {
    std::string piece = Message(1, text) + "\x15";
    piece.append(reinterpret_cast<const char*>(&score), 4);
    model += Message(1, piece + "\x18" + type);
    score -= 1;
  }
  model += Message(2, std::string("\x18") + model_type);
  // add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces
  return model + Message(3, std::string("\x18\x01\x20\x00\x28\x01", 6));
}

TEST(SentencePiece, Encodes) {
  auto parts = PartsFromSentencePiece(SmallSentencePiece());
  ASSERT_TRUE(parts) << parts.status().message();
  const BpeTokenizer t(std::move(*parts));
  EXPECT_EQ(t.Encode("ab", {.add_bos = true}), (Ids{1, 7}));
  EXPECT_EQ(t.Encode("cx", {}), (Ids{3, 8, 0}));
  EXPECT_EQ(t.eos(), 2);
  EXPECT_TRUE(t.IsEndOfGeneration(2));
  EXPECT_EQ(t.Decode(t.Encode("ab a", {})), "ab a");
}

TEST(SentencePiece, Errors) {
  ExpectError(PartsFromSentencePiece(SmallSentencePiece(1)), Code::kUnimplemented, {"model_type"});
  ExpectError(PartsFromSentencePiece(""), Code::kUnimplemented, {"model_type"});
  const std::string whole = SmallSentencePiece();
  for (size_t n = 0; n < whole.size(); ++n) (void)PartsFromSentencePiece(whole.substr(0, n));
  // A length beyond the end.
  ExpectError(PartsFromSentencePiece(std::string("\x0A\xFF\xFF\xFF\xFF\x0F", 6)),
              Code::kInvalidArgument, {"ends inside"});
  ExpectError(PartsFromSentencePiece(Message(1, Message(1, "<0x-1>") + "\x18\x06") + whole),
              Code::kInvalidArgument, {"pieces[0]", "<0x-1>"});
  ExpectError(PartsFromSentencePiece(Message(1, Message(1, "a") + "\x18\x09") + whole),
              Code::kInvalidArgument, {"pieces[0].type", "9"});
}

json SmallTekken() {
  return json::parse(R"({
    "config": {"pattern": "\\p{L}+|\\s+|.", "default_vocab_size": 7, "default_num_special_tokens": 3},
    "special_tokens": [{"rank": 0, "token_str": "<unk>"}, {"rank": 1, "token_str": "<s>"},
                       {"rank": 2, "token_str": "</s>"}],
    "vocab": [{"rank": 0, "token_bytes": "YQ=="}, {"rank": 1, "token_bytes": "Yg=="},
              {"rank": 2, "token_bytes": "IA=="}, {"rank": 3, "token_bytes": "YWI="},
              {"rank": 4, "token_bytes": "YWJi"}]})");
}

TEST(Tekken, MergesByRankWithinTheVocabulary) {
  auto parts = PartsFromTekken(SmallTekken().dump());
  ASSERT_TRUE(parts) << parts.status().message();
  const BpeTokenizer t(std::move(*parts));
  EXPECT_EQ(t.Encode("ab abb", {}), (Ids{6, 5, 6, 4}));  // "abb" lies beyond the vocabulary
  EXPECT_EQ(t.Encode("<s>a", {.parse_special = true, .add_bos = true}), (Ids{1, 1, 3}));
  EXPECT_EQ(t.end_of_generation(), Ids{2});
}

TEST(Tekken, Errors) {
  json d = SmallTekken();
  d["config"]["default_vocab_size"] = 9;
  ExpectError(PartsFromTekken(d.dump()), Code::kInvalidArgument, {"default_vocab_size", "9"});
  d = SmallTekken();
  d["vocab"][1]["rank"] = 4;
  ExpectError(PartsFromTekken(d.dump()), Code::kInvalidArgument, {"vocab[1].rank"});
  d["vocab"][1] = {{"rank", 1}, {"token_bytes", "!"}};
  ExpectError(PartsFromTekken(d.dump()), Code::kInvalidArgument, {"vocab[1].token_bytes"});
  d["vocab"][1] = {{"rank", 1}};
  ExpectError(PartsFromTekken(d.dump()), Code::kInvalidArgument, {"vocab[1].token_bytes"});
  d = SmallTekken();
  d["config"]["pattern"] = "(";
  ExpectError(PartsFromTekken(d.dump()), Code::kInvalidArgument, {"config.pattern"});
  d = SmallTekken();
  d["special_tokens"][2]["rank"] = 3;
  ExpectError(PartsFromTekken(d.dump()), Code::kInvalidArgument, {"special_tokens", "</s>"});
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "lamina_tokenizer_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(path_ + "/" + name) << content;
  }
  std::string path_;
};

TEST_F(Folder, ConfigsNameBosAndWhatEndsAnAnswer) {
  Write("tokenizer.json", SmallJson().dump());
  Write("tokenizer_config.json",
        R"({"bos_token": {"content": "<s>"}, "eos_token": "<w>", "add_bos_token": true})");
  Write("generation_config.json", R"({"eos_token_id": [3, 11, 99]})");
  Write("config.json", R"({"eos_token_id": 4})");
  auto parts = PartsFromFolder(path_);
  ASSERT_TRUE(parts) << parts.status().message();
  const BpeTokenizer t(std::move(*parts));
  EXPECT_EQ(t.bos(), 9);
  EXPECT_EQ(t.eos(), 10);
  EXPECT_TRUE(t.adds_bos());
  EXPECT_EQ(t.end_of_generation(), (Ids{3, 4, 10, 11}));
}

TEST_F(Folder, Errors) {
  ExpectError(PartsFromFolder(path_), Code::kNotFound,
              {"tokenizer.json", "tokenizer.model", "tekken.json"});
  Write("tokenizer.json", SmallJson().dump());
  Write("tokenizer_config.json", "[1]");
  ExpectError(PartsFromFolder(path_), Code::kInvalidArgument, {"tokenizer_config.json"});
  Write("tokenizer_config.json", R"({"eos_token": 7})");
  ExpectError(PartsFromFolder(path_), Code::kInvalidArgument,
              {"tokenizer_config.json", "eos_token"});
  Write("tokenizer_config.json", "{}");
  Write("generation_config.json", R"({"eos_token_id": "x"})");
  ExpectError(PartsFromFolder(path_), Code::kInvalidArgument,
              {"generation_config.json", "eos_token_id"});
}

TEST(Fixtures, BothFormatsOfEveryFamilyHaveATokenizer) {
  size_t n_families = 0;
  for (const auto& family :
       std::filesystem::directory_iterator(checkout::BinaryFolder() + "/test_data/families")) {
    if (!family.is_directory()) continue;
    ++n_families;
    const auto gguf = format::ModelSource::Open(family.path() / "model.gguf");
    ASSERT_TRUE(gguf) << gguf.status().message();
    const auto from_gguf = Tokenizer::Create(**gguf);
    ASSERT_TRUE(from_gguf) << family.path() << from_gguf.status().message();
    const auto folder = format::ModelSource::Open(family.path() / "hf");
    ASSERT_TRUE(folder) << folder.status().message();
    const auto from_folder = Tokenizer::Create(**folder);
    ASSERT_TRUE(from_folder) << family.path() << from_folder.status().message();
    EXPECT_EQ((*from_gguf)->n_vocab(), (*from_folder)->n_vocab());
    EXPECT_EQ((*from_gguf)->eos(), (*from_folder)->eos());
    EXPECT_EQ((*from_gguf)->bos(), (*from_folder)->bos());
    const std::string text = "def f(x):\n    return 'hello world'";
    EXPECT_EQ((*from_folder)->Decode((*from_folder)->Encode(text, {})), text) << family.path();
  }
  EXPECT_EQ(n_families, 19u);
}

}  // namespace
}  // namespace lamina::text
