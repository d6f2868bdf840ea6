#include "engine/engine.h"

#include <gtest/gtest.h>

#include <numeric>

#include "fake_model.h"

namespace lamina::engine {
namespace {

class EngineTest : public testing::Test {
 protected:
  void Make(const FakeModelOptions& model_options, const EngineOptions& options = {}) {
    model_ = std::make_shared<FakeModel>(model_options);
    auto engine = Engine::Create(model_, std::make_shared<FakeTokenizer>(), pool_, options);
    ASSERT_TRUE(engine.has_value()) << engine.status().message();
    engine_ = std::move(*engine);
  }

  Collector Run(const std::vector<int32_t>& prompt, GenerateOptions options = {}) {
    Collector sink;
    const auto id = engine_->Submit(prompt, options, &sink);
    EXPECT_TRUE(id.has_value()) << id.status().message();
    while (engine_->Step()) {
    }
    EXPECT_TRUE(sink.finished);
    EXPECT_EQ(sink.n_calls_after_finish, 0);
    return sink;
  }

  static std::vector<int32_t> Prompt(int seed, int n) {
    std::vector<int32_t> ids(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) ids[static_cast<size_t>(i)] = (seed * 31 + i * 7) % 200;
    return ids;
  }

  static GenerateOptions AtMost(int64_t n) {
    GenerateOptions options;
    options.max_tokens = n;
    options.cache_scope = 1;
    return options;
  }

  ThreadPool pool_{1};
  std::shared_ptr<FakeModel> model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, AnswersAsTheModelSays) {
  Make({});
  int n_stopped = 0;
  for (int seed = 0; seed < 30; ++seed) {
    const auto sink = Run(Prompt(seed, 5 + seed), AtMost(20));
    const auto expected = ExpectedAnswer(Prompt(seed, 5 + seed), 20);
    EXPECT_EQ(sink.tokens, expected);
    EXPECT_EQ(sink.text, std::string(expected.begin(), expected.end()));
    const bool stopped = expected.size() < 20;
    n_stopped += stopped;
    EXPECT_EQ(sink.reason, stopped ? FinishReason::kStop : FinishReason::kLength);
    EXPECT_EQ(sink.timings.n_prompt_tokens, 5 + seed);
    EXPECT_EQ(sink.timings.n_generated_tokens, std::ssize(expected) + stopped);
  }
  EXPECT_GT(n_stopped, 0);
  EXPECT_LT(n_stopped, 30);
}

TEST_F(EngineTest, PromptsGoInChunks) {
  Make({}, {.prefill_chunk = 8});
  const auto sink = Run(Prompt(1, 21), AtMost(2));
  EXPECT_EQ(sink.tokens, ExpectedAnswer(Prompt(1, 21), 2));
  ASSERT_GE(model_->steps.size(), 3u);
  EXPECT_EQ(model_->steps[0].n_rows, std::vector<int64_t>{8});
  EXPECT_EQ(model_->steps[1].n_rows, std::vector<int64_t>{8});
  EXPECT_EQ(model_->steps[2].n_rows, std::vector<int64_t>{5});
}

TEST_F(EngineTest, AFullContextEndsTheAnswer) {
  Make({.max_context = 30});
  GenerateOptions options;
  options.ignore_eos = true;
  const auto sink = Run(Prompt(1, 10), options);
  EXPECT_EQ(sink.reason, FinishReason::kLength);
  EXPECT_EQ(sink.tokens.size(), 20u);
  Collector unused;
  const auto refused = engine_->Submit(Prompt(1, 30), {}, &unused);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), Code::kOutOfRange);
}

TEST_F(EngineTest, IgnoringTheEndGoesOn) {
  Make({});
  GenerateOptions options = AtMost(200);
  options.ignore_eos = true;
  const auto sink = Run(Prompt(3, 10), options);
  EXPECT_EQ(sink.tokens.size(), 200u);
  EXPECT_GT(std::count(sink.tokens.begin(), sink.tokens.end(), kFakeEnd), 0);
}

TEST_F(EngineTest, StopTextsEndTheAnswer) {
  Make({});
  GenerateOptions options = AtMost(60);
  options.ignore_eos = true;
  const std::string whole = Run(Prompt(4, 9), options).text;
  options.stop = {whole.substr(20, 3)};
  const auto sink = Run(Prompt(4, 9), options);
  EXPECT_EQ(sink.reason, FinishReason::kStop);
  EXPECT_EQ(sink.text, whole.substr(0, whole.find(options.stop[0])));
}

TEST_F(EngineTest, NoTokensWantedNoneGiven) {
  Make({});
  const auto sink = Run(Prompt(1, 4), AtMost(0));
  EXPECT_EQ(sink.reason, FinishReason::kLength);
  EXPECT_TRUE(sink.tokens.empty());
  EXPECT_TRUE(model_->steps.empty());
}

TEST_F(EngineTest, BadRequestsNameTheField) {
  Make({});
  Collector sink;
  const auto message = [&](std::vector<int32_t> prompt, GenerateOptions options) {
    const auto id = engine_->Submit(std::move(prompt), options, &sink);
    EXPECT_FALSE(id.has_value());
    return id.status().message();
  };
  EXPECT_NE(message({}, {}).find("prompt"), std::string::npos);
  EXPECT_NE(message({kFakeVocab}, {}).find("260"), std::string::npos);
  EXPECT_NE(message({-1}, {}).find("-1"), std::string::npos);
  GenerateOptions options;
  options.max_tokens = -2;
  EXPECT_NE(message({1}, options).find("max_tokens"), std::string::npos);
  options = {};
  options.stop = {""};
  EXPECT_NE(message({1}, options).find("stop"), std::string::npos);
  options.stop = {"\xff"};
  EXPECT_NE(message({1}, options).find("stop"), std::string::npos);
  options = {};
  options.sampler.top_k = -3;
  EXPECT_NE(message({1}, options).find("top_k"), std::string::npos);
  EXPECT_FALSE(engine_->Step());
  EXPECT_FALSE(Engine::Create(model_, std::make_shared<FakeTokenizer>(), pool_, {.context = 2000})
                   .has_value());
}

TEST_F(EngineTest, BadLogitsEndTheRequest) {
  Make({.nan = 77});
  const auto sink = Run({1, 2, 77}, AtMost(5));
  EXPECT_EQ(sink.reason, FinishReason::kError);
  EXPECT_NE(sink.status.message().find("NaN"), std::string::npos);
  EXPECT_EQ(Run({1, 2, 78}, AtMost(5)).tokens, ExpectedAnswer({1, 2, 78}, 5));
}

// A chat: each prompt begins with the last one and its answer.
TEST_F(EngineTest, AChatIsNotPrefilledAnew) {
  for (bool can_truncate : {true, false}) {
    Make({.can_truncate = can_truncate});
    auto prompt = Prompt(5, 40);
    int64_t n_known = 0;
    for (int turn = 0; turn < 5; ++turn) {
      const auto sink = Run(prompt, AtMost(10));
      EXPECT_EQ(sink.tokens, ExpectedAnswer(prompt, 10));
      EXPECT_EQ(sink.timings.n_cached_tokens, n_known);
      prompt.insert(prompt.end(), sink.tokens.begin(), sink.tokens.end());
      // The last token of an answer was never a row, unless one that ends it came after.
      n_known = std::ssize(prompt) - (sink.reason == FinishReason::kLength ? 1 : 0);
      for (int i = 0; i < 6; ++i) prompt.push_back(turn + i);
    }
    EXPECT_EQ(model_->n_sequences, 1);
  }
}

TEST_F(EngineTest, ADivergingPromptKeepsTheCommonPart) {
  Make({});
  Run(Prompt(6, 40), AtMost(5));
  auto other = Prompt(6, 40);
  other[25] = 199;
  const auto sink = Run(other, AtMost(5));
  EXPECT_EQ(sink.timings.n_cached_tokens, 25);
  EXPECT_EQ(sink.tokens, ExpectedAnswer(other, 5));
  const auto again = Run(other, AtMost(5));
  EXPECT_EQ(again.timings.n_cached_tokens, 39);
  EXPECT_EQ(again.tokens, ExpectedAnswer(other, 5));
}

TEST_F(EngineTest, WhereStateCannotBeCutItIsMadeAnew) {
  Make({.can_truncate = false});
  Run(Prompt(6, 40), AtMost(5));
  auto other = Prompt(6, 40);
  other[25] = 199;
  const auto sink = Run(other, AtMost(5));
  EXPECT_EQ(sink.timings.n_cached_tokens, 0);
  EXPECT_EQ(sink.tokens, ExpectedAnswer(other, 5));
}

TEST_F(EngineTest, ScopesShareNothing) {
  Make({}, {.max_sequences = 2});
  GenerateOptions options = AtMost(5);
  Run(Prompt(6, 40), options);
  options.cache_scope = 2;
  EXPECT_EQ(Run(Prompt(6, 40), options).timings.n_cached_tokens, 0);
  options.cache_scope = 0;
  EXPECT_EQ(Run(Prompt(6, 40), options).timings.n_cached_tokens, 0);
  EXPECT_EQ(Run(Prompt(6, 40), options).timings.n_cached_tokens, 0);
  // Two sequences, two scopes remembered: the third request took the oldest, scope 1's.
  options.cache_scope = 2;
  const auto sink = Run(Prompt(6, 40), options);
  EXPECT_EQ(sink.timings.n_cached_tokens, 39);
  EXPECT_EQ(sink.tokens, ExpectedAnswer(Prompt(6, 40), 5));
}

TEST_F(EngineTest, ASequenceThatOutgrowsItsFactorsIsPrefilledAnew) {
  Make({.original_context = 32}, {.prefill_chunk = 10});
  for (int n_prompt : {10, 31, 32, 33, 60}) {
    GenerateOptions options = AtMost(40);
    options.ignore_eos = false;
    const auto prompt = Prompt(8, n_prompt);
    const auto sink = Run(prompt, options);
    EXPECT_EQ(sink.tokens, ExpectedAnswer(prompt, 40, 32)) << n_prompt;
  }
}

TEST_F(EngineTest, UnfinishedCharactersComeOutWholeOrNotAtAll) {
  // The euro sign's bytes as three tokens: biased so that the answer is those tokens.
  Make({});
  GenerateOptions options = AtMost(1);
  options.sampler.logit_bias = {{0xe2, 100.0f}};
  const auto sink = Run(Prompt(1, 5), options);
  EXPECT_EQ(sink.tokens, std::vector<int32_t>{0xe2});
  EXPECT_EQ(sink.text, "\xef\xbf\xbd");
}

}  // namespace
}  // namespace lamina::engine
