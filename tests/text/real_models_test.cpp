// The tokenizers of two real models against ids on which two independent tokenizers agree.
#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/paths.h"
#include "text/tokenizer.h"

namespace lamina::text {
namespace {

struct Model {
  const char* file;
  const char* cases;
};
/// Of this thread alone: other tests may run beside this one.
double ThreadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void PrintTo(const Model& model, std::ostream* out) { *out << model.file; }

class RealModels : public testing::TestWithParam<Model> {
 protected:
  void SetUp() override {
    const std::string path = checkout::ModelPath(GetParam().file);
    auto source = format::ModelSource::Open(path);
    ASSERT_TRUE(source) << source.status().message() << "; run `make models` first";
    auto tokenizer = Tokenizer::Create(**source);
    ASSERT_TRUE(tokenizer) << tokenizer.status().message();
    tokenizer_ = std::move(*tokenizer);
  }

  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_P(RealModels, AgreesOnAllCases) {
  auto text = ReadFile(checkout::SourceFolder() + "/tests/data/real/tokenizer-cases.json", 1 << 24);
  ASSERT_TRUE(text) << text.status().message();
  const nlohmann::json cases = nlohmann::json::parse(*text).at(GetParam().cases);
  ASSERT_GT(cases.size(), 100u);
  for (const auto& c : cases) {
    const auto input = c.at("text").get<std::string>();
    EXPECT_EQ(tokenizer_->Encode(input, {}), c.at("ids").get<std::vector<TokenId>>()) << input;
  }
}

TEST_P(RealModels, DecodeGivesTheTextBack) {
  auto text = ReadFile(checkout::SourceFolder() + "/tests/data/real/tokenizer-cases.json", 1 << 24);
  ASSERT_TRUE(text) << text.status().message();
  for (const auto& c : nlohmann::json::parse(*text).at(GetParam().cases)) {
    const auto input = c.at("text").get<std::string>();
    const std::vector<TokenId> ids = tokenizer_->Encode(input, {});
    EXPECT_EQ(tokenizer_->Decode(ids), input);
    Detokenizer detokenizer(*tokenizer_);
    std::string streamed;
    for (const TokenId id : ids) streamed += detokenizer.Push(id);
    EXPECT_EQ(streamed + detokenizer.Finish(), input);
  }
}

TEST_P(RealModels, LongRunsTakeLinearTime) {
  for (const std::string unit : {"a", "\n", " ", "7", ".", "\xF0\x9F\x98\x80", "\xC3\xA9", "ab",
                                 "\xE4\xB8\xAD", "<", "A\xCC\x81"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    const double begin_s = ThreadSeconds();
    EXPECT_GT(tokenizer_->Encode(text, {}).size(), 0u);
    const double elapsed_s = ThreadSeconds() - begin_s;
    EXPECT_LT(elapsed_s, 1.0) << "1 MB of '" << unit << "'";
    if (std::getenv("LAMINA_PRINT_TIMES")) printf("%s %.3f s\n", unit.c_str(), elapsed_s);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RealModels,
                         testing::Values(Model{"smollm2.gguf", "smollm2-135m-q4_1"},
                                         Model{"gemma3.gguf", "gemma3-270m-q4_k_m"}));

}  // namespace
}  // namespace lamina::text
