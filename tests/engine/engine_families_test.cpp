// The engine over real forward passes: every family's tiny model answers as its reference, alone,
// beside others, and going on from an earlier turn.
#include <gtest/gtest.h>

#include <deque>

#include "../model/support.h"
#include "engine/engine.h"
#include "fake_model.h"

namespace lamina::engine {
namespace {

using model::test::FamilyFolder;
using model::test::FamilyNames;
using model::test::LoadModel;
using model::test::ReadValues;

constexpr size_t kPrompt = 24;

struct Job {
  std::vector<int32_t> prompt;
  Collector sink;
};

class EngineFamily : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string folder = FamilyFolder(GetParam());
    const auto expected = ReadValues(folder + "/expected.safetensors");
    ids_ = expected.at("input_ids").AsIds();
    greedy_ = expected.at("greedy").AsIds();
    model_ = LoadModel(folder + "/model.gguf", pool_);
  }

  std::unique_ptr<Engine> Make(int64_t prefill_chunk) {
    auto engine = Engine::Create(model_, std::make_shared<FakeTokenizer>(), pool_,
                                 {.prefill_chunk = prefill_chunk});
    EXPECT_TRUE(engine.has_value()) << engine.status().message();
    return std::move(*engine);
  }

  void Run(Engine& engine, std::deque<Job>& jobs, int64_t max_tokens, uint64_t scope) {
    GenerateOptions options;
    options.max_tokens = max_tokens;
    options.ignore_eos = true;
    options.cache_scope = scope;
    for (Job& job : jobs) {
      const auto id = engine.Submit(job.prompt, options, &job.sink);
      ASSERT_TRUE(id.has_value()) << id.status().message();
    }
    while (engine.Step()) {
    }
    for (const Job& job : jobs) {
      ASSERT_EQ(job.sink.reason, FinishReason::kLength) << job.sink.status.message();
    }
  }

  std::vector<int32_t> First(size_t n) const {
    return {ids_.begin(), ids_.begin() + static_cast<long>(n)};
  }

  ThreadPool pool_{2};
  std::vector<int32_t> ids_, greedy_;
  std::shared_ptr<const model::Model> model_;
};

TEST_P(EngineFamily, AnswersAsTheReference) {
  for (int64_t chunk : {512, 7}) {
    std::deque<Job> jobs(1);
    jobs[0].prompt = First(kPrompt);
    Run(*Make(chunk), jobs, std::ssize(greedy_), 0);
    EXPECT_EQ(jobs[0].sink.tokens, greedy_) << "chunks of " << chunk;
  }
}

TEST_P(EngineFamily, AnswersAlikeAloneAndBesideOthers) {
  std::deque<Job> together;
  for (size_t n : {kPrompt, size_t{5}, size_t{40}, size_t{1}, size_t{31}, size_t{60}}) {
    together.emplace_back();
    together.back().prompt = First(n);
  }
  Run(*Make(16), together, std::ssize(greedy_), 0);
  EXPECT_EQ(together[0].sink.tokens, greedy_);
  for (const Job& job : together) {
    std::deque<Job> alone(1);
    alone[0].prompt = job.prompt;
    Run(*Make(512), alone, std::ssize(greedy_), 0);
    EXPECT_EQ(alone[0].sink.tokens, job.sink.tokens) << "prompt of " << job.prompt.size();
  }
}

TEST_P(EngineFamily, GoesOnFromAnEarlierTurn) {
  const auto engine = Make(512);
  const auto n_all = std::ssize(greedy_);
  for (int64_t n_first : {int64_t{1}, n_all / 2, n_all}) {
    std::deque<Job> first(1), second(1), changed(1);
    first[0].prompt = First(kPrompt);
    Run(*engine, first, n_first, 1);
    // The answer's beginning as part of the next prompt.
    second[0].prompt = First(kPrompt);
    second[0].prompt.insert(second[0].prompt.end(), greedy_.begin(), greedy_.begin() + n_first / 2);
    Run(*engine, second, n_all - n_first / 2, 1);
    EXPECT_EQ(second[0].sink.tokens,
              std::vector<int32_t>(greedy_.begin() + n_first / 2, greedy_.end()));
    // And a prompt that leaves the earlier one in its middle.
    changed[0].prompt = First(kPrompt - 10);
    for (int i = 0; i < 10; ++i) changed[0].prompt.push_back(ids_[static_cast<size_t>(50 + i)]);
    std::deque<Job> anew(1);
    anew[0].prompt = changed[0].prompt;
    Run(*engine, changed, 12, 1);
    Run(*Make(512), anew, 12, 0);
    EXPECT_EQ(changed[0].sink.tokens, anew[0].sink.tokens);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EngineFamily, testing::ValuesIn(FamilyNames()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace lamina::engine
