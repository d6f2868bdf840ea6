// Many requests at once: each gets what it would get alone, whatever happens to the others.
#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "engine/random.h"
#include "fake_model.h"

namespace lamina::engine {
namespace {

std::vector<int32_t> RandomPrompt(Random& random) {
  std::vector<int32_t> ids(1 + random.Next() % 60);
  for (int32_t& id : ids) id = static_cast<int32_t>(random.Next() % 200);
  return ids;
}

struct Job {
  std::vector<int32_t> prompt;
  GenerateOptions options;
  Collector sink;
  RequestId id = 0;
};

std::unique_ptr<Engine> Make(std::shared_ptr<FakeModel> model, ThreadPool& pool,
                             const EngineOptions& options) {
  auto engine = Engine::Create(model, std::make_shared<FakeTokenizer>(), pool, options);
  EXPECT_TRUE(engine.has_value());
  return std::move(*engine);
}

void Submit(Engine& engine, Job& job) {
  const auto id = engine.Submit(job.prompt, job.options, &job.sink);
  ASSERT_TRUE(id.has_value()) << id.status().message();
  job.id = *id;
}

bool IsPrefix(const std::vector<int32_t>& part, const std::vector<int32_t>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

TEST(EngineBatchTest, RandomTrafficWithCancelsGivesEveryoneTheirOwnAnswer) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    FakeModelOptions model_options;
    model_options.can_truncate = seed % 2 == 0;
    model_options.original_context = seed % 3 == 0 ? 50 : 0;
    model_options.most_sequences = 1 + static_cast<int64_t>(random.Next() % 6);
    auto model = std::make_shared<FakeModel>(model_options);
    ThreadPool pool(1);
    auto engine = Make(model, pool,
                       {.prefill_chunk = 1 + static_cast<int64_t>(random.Next() % 40),
                        .max_sequences = 1 + static_cast<int>(random.Next() % 5)});
    std::deque<Job> jobs;
    std::vector<bool> cancelled;
    for (int i = 0; i < 60; ++i) {
      jobs.emplace_back();
      Job& job = jobs.back();
      job.prompt = RandomPrompt(random);
      if (i > 0 && random.Next() % 2 == 0) {  // Shares a beginning with an earlier one.
        const auto& earlier = jobs[random.Next() % static_cast<uint64_t>(i)].prompt;
        job.prompt.insert(job.prompt.begin(), earlier.begin(), earlier.end());
      }
      job.options.max_tokens = static_cast<int64_t>(random.Next() % 30);
      job.options.cache_scope = random.Next() % 3;
      Submit(*engine, job);
      cancelled.push_back(false);
      for (uint64_t n = random.Next() % 4; n > 0; --n) engine->Step();
      if (random.Next() % 4 == 0) {
        const size_t victim = random.Next() % jobs.size();
        engine->Cancel(jobs[victim].id);
        cancelled[victim] = true;
      }
    }
    while (engine->Step()) {
    }
    for (size_t i = 0; i < jobs.size(); ++i) {
      const Job& job = jobs[i];
      ASSERT_TRUE(job.sink.finished) << i;
      EXPECT_EQ(job.sink.n_calls_after_finish, 0);
      const auto expected =
          ExpectedAnswer(job.prompt, job.options.max_tokens, model_options.original_context);
      if (job.sink.reason == FinishReason::kCancelled) {
        EXPECT_TRUE(cancelled[i]);
        EXPECT_TRUE(IsPrefix(job.sink.tokens, expected));
      } else {
        EXPECT_EQ(job.sink.tokens, expected) << "seed " << seed << ", request " << i;
      }
    }
    EXPECT_LE(model->n_sequences, model_options.most_sequences);
  }
}

TEST(EngineBatchTest, AStepTakesRowsOfAnswersAndPrompts) {
  auto model = std::make_shared<FakeModel>(FakeModelOptions{});
  ThreadPool pool(1);
  std::deque<Job> jobs(3);  // Before the engine: it still cancels them when it ends.
  auto engine = Make(model, pool, {.prefill_chunk = 16});
  for (Job& job : jobs) {
    job.options.max_tokens = 50;
    job.options.ignore_eos = true;
  }
  jobs[0].prompt = {1, 2, 3};
  Submit(*engine, jobs[0]);
  engine->Step();
  jobs[1].prompt.assign(20, 5);
  jobs[2].prompt.assign(9, 6);
  Submit(*engine, jobs[1]);
  Submit(*engine, jobs[2]);
  engine->Step();
  EXPECT_EQ(model->steps.back().n_rows, (std::vector<int64_t>{1, 16}));
  engine->Step();
  EXPECT_EQ(model->steps.back().n_rows, (std::vector<int64_t>{1, 4, 9}));
  engine->Step();
  EXPECT_EQ(model->steps.back().n_rows, (std::vector<int64_t>{1, 1, 1}));
}

TEST(EngineBatchTest, ACancelInsideAStepEndsItOnlyForALoneRequest) {
  auto model = std::make_shared<FakeModel>(FakeModelOptions{});
  ThreadPool pool(1);
  auto engine = Make(model, pool, {});
  std::deque<Job> jobs(2);
  jobs[0].prompt = {1, 2, 3};
  jobs[1].prompt = {4, 5};
  for (Job& job : jobs) {
    job.options.max_tokens = 9;
    job.options.ignore_eos = true;
    Submit(*engine, job);
  }
  bool once = true;
  model->on_forward = [&] {
    if (std::exchange(once, false)) engine->Cancel(jobs[0].id);
  };
  engine->Step();  // Both are in it: the step goes through, and the other has its token.
  EXPECT_EQ(jobs[1].sink.tokens.size(), 1u);
  engine->Step();
  EXPECT_EQ(jobs[0].sink.reason, FinishReason::kCancelled);
  EXPECT_EQ(model->steps.back().n_rows, (std::vector<int64_t>{1}));
  once = true;
  model->on_forward = [&] {
    if (std::exchange(once, false)) engine->Cancel(jobs[1].id);
  };
  const auto n_tokens = jobs[1].sink.tokens.size();
  engine->Step();  // Alone: the step itself stops.
  EXPECT_TRUE(jobs[1].sink.finished);
  EXPECT_EQ(jobs[1].sink.reason, FinishReason::kCancelled);
  EXPECT_EQ(jobs[1].sink.tokens.size(), n_tokens);
  EXPECT_FALSE(engine->Step());
}

TEST(EngineBatchTest, AFailingRequestFailsAlone) {
  auto model = std::make_shared<FakeModel>(FakeModelOptions{.poison = 150});
  ThreadPool pool(1);
  auto engine = Make(model, pool, {});
  std::deque<Job> jobs(3);
  jobs[0].prompt = {1, 2, 3};
  jobs[1].prompt = {4, 150};
  jobs[2].prompt = {6, 7, 8, 9};
  for (Job& job : jobs) {
    job.options.max_tokens = 12;
    Submit(*engine, job);
  }
  while (engine->Step()) {
  }
  EXPECT_EQ(jobs[0].sink.tokens, ExpectedAnswer(jobs[0].prompt, 12));
  EXPECT_EQ(jobs[2].sink.tokens, ExpectedAnswer(jobs[2].prompt, 12));
  EXPECT_EQ(jobs[1].sink.reason, FinishReason::kError);
  EXPECT_EQ(jobs[1].sink.status.message(), "poisoned");
}

TEST(EngineBatchTest, WithoutMemoryForOneSequenceTheRequestFails) {
  auto model = std::make_shared<FakeModel>(FakeModelOptions{.most_sequences = 0});
  ThreadPool pool(1);
  auto engine = Make(model, pool, {});
  Job job;
  job.prompt = {1};
  Submit(*engine, job);
  while (engine->Step()) {
  }
  EXPECT_EQ(job.sink.reason, FinishReason::kError);
  EXPECT_EQ(job.sink.status.code(), Code::kResourceExhausted);
}

TEST(EngineBatchTest, ADestroyedEngineCancelsWhatIsLeft) {
  auto model = std::make_shared<FakeModel>(FakeModelOptions{});
  ThreadPool pool(1);
  std::deque<Job> jobs(3);
  {
    auto engine = Make(model, pool, {.max_sequences = 1});
    for (Job& job : jobs) {
      job.prompt = {1, 2};
      job.options.ignore_eos = true;
      Submit(*engine, job);
    }
    engine->Step();
  }
  for (const Job& job : jobs) EXPECT_EQ(job.sink.reason, FinishReason::kCancelled);
}

TEST(EngineBatchTest, SubmitAndCancelComeFromAnyThread) {
  auto model = std::make_shared<FakeModel>(FakeModelOptions{});
  ThreadPool pool(1);
  auto engine = Make(model, pool, {.max_sequences = 4});
  std::deque<Job> jobs(200);
  std::atomic<int> n_running{2};
  const auto submit = [&](size_t first) {
    Random random(first);
    for (size_t i = first; i < jobs.size(); i += 2) {
      jobs[i].prompt = RandomPrompt(random);
      jobs[i].options.max_tokens = 10;
      Submit(*engine, jobs[i]);
      if (i % 3 == 0) engine->Cancel(jobs[i].id);
    }
    --n_running;
  };
  std::thread a(submit, 0), b(submit, 1);
  for (;;) {
    const bool last_round = n_running == 0;
    const bool worked = engine->Step();
    if (last_round && !worked) break;
  }
  a.join();
  b.join();
  for (size_t i = 0; i < jobs.size(); ++i) {
    ASSERT_TRUE(jobs[i].sink.finished) << i;
    if (jobs[i].sink.reason != FinishReason::kCancelled) {
      EXPECT_EQ(jobs[i].sink.tokens, ExpectedAnswer(jobs[i].prompt, 10));
    }
  }
}

}  // namespace
}  // namespace lamina::engine
