// Speculation in the engine: whatever is drafted, every request gets the text that it gets without.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <deque>

#include "engine/engine.h"
#include "engine/random.h"
#include "fake_model.h"

namespace lamina::engine {
namespace {

struct Mode {
  const char* name;
  int fixed_length;
};
// The draft model forgets more than the model, so it is wrong now and then.
constexpr Mode kModes[] = {{"ngram", 1},  {"ngram", 15},  {"suffix", 1},
                           {"suffix", 4}, {"suffix", 15}, {"draft", 3},
                           {"draft", 15}, {"auto", 0},    {"auto", 6}};

class EngineSpeculation : public testing::Test {
 protected:
  struct Job {
    std::vector<int32_t> prompt;
    GenerateOptions options;
    Collector sink;
  };

  SpeculationOptions Options(const Mode& mode, const FakeModelOptions& model_options) {
    SpeculationOptions options;
    options.mode = mode.name;
    options.fixed_length = mode.fixed_length;
    if (options.mode == "draft") {
      FakeModelOptions smaller = model_options;
      smaller.memory = std::max<int64_t>(1, model_options.memory - 1);
      smaller.poison = smaller.nan = -1;
      options.draft_model = std::make_shared<FakeModel>(smaller);
      options.draft_tokenizer = std::make_shared<FakeTokenizer>();
    }
    return options;
  }

  // Runs the jobs on one engine, a few at a time, and returns what was drafted.
  void Run(const FakeModelOptions& model_options, const EngineOptions& options,
           std::deque<Job>& jobs) {
    model_ = std::make_shared<FakeModel>(model_options);
    auto engine = Engine::Create(model_, std::make_shared<FakeTokenizer>(), pool_, options);
    ASSERT_TRUE(engine.has_value()) << engine.status().message();
    for (Job& job : jobs) {
      const auto id = (*engine)->Submit(job.prompt, job.options, &job.sink);
      ASSERT_TRUE(id.has_value()) << id.status().message();
      (*engine)->Step();
    }
    while ((*engine)->Step()) {
    }
    for (const auto& step : model_->steps) {
      int64_t n_rows = 0, widest = 0;
      for (int64_t n : step.n_rows) n_rows += n, widest = std::max(widest, n);
      if (widest > 1) most_rows_ = std::max(most_rows_, n_rows);
    }
    for (const Job& job : jobs) {
      EXPECT_TRUE(job.sink.finished);
      EXPECT_EQ(job.sink.n_calls_after_finish, 0);
      n_drafted_ += job.sink.timings.n_drafted_tokens;
      n_accepted_ += job.sink.timings.n_accepted_tokens;
    }
  }

  static std::deque<Job> Jobs(uint64_t seed, int n_jobs, float temperature) {
    std::deque<Job> jobs(static_cast<size_t>(n_jobs));
    Random random(seed);
    for (Job& job : jobs) {
      for (uint64_t i = 0; i < 3 + random.Next() % 10; ++i) {
        job.prompt.push_back('a' + static_cast<int32_t>(random.Next() % 26));
      }
      job.options.sampler.temperature = temperature;
      job.options.sampler.seed = random.Next();
      job.options.max_tokens = 1 + static_cast<int64_t>(random.Next() % 120);
      job.options.ignore_eos = random.Next() % 2 == 0;
      job.options.cache_scope = random.Next() % 3;
      if (random.Next() % 3 == 0) job.options.stop = {"ab", "qz", "mmm"};
    }
    return jobs;
  }

  void ExpectEqualAnswers(const FakeModelOptions& model_options, float temperature,
                          const std::function<void(SamplerOptions&)>& change = {}) {
    for (int n_jobs : {1, 3, 7}) {
      const auto jobs = [&] {
        auto made = Jobs(static_cast<uint64_t>(n_jobs), n_jobs, temperature);
        for (Job& job : made) {
          if (change) change(job.options.sampler);
        }
        return made;
      };
      EngineOptions options{.prefill_chunk = 8, .max_sequences = 4};
      std::deque<Job> plain = jobs();
      Run(model_options, options, plain);
      for (const Mode& mode : kModes) {
        options.speculation = Options(mode, model_options);
        std::deque<Job> drafted = jobs();
        Run(model_options, options, drafted);
        for (size_t i = 0; i < plain.size(); ++i) {
          const Collector &want = plain[i].sink, &got = drafted[i].sink;
          EXPECT_EQ(got.tokens, want.tokens) << mode.name << mode.fixed_length << " job " << i;
          EXPECT_EQ(got.text, want.text);
          EXPECT_EQ(got.reason, want.reason);
          EXPECT_EQ(got.timings.n_generated_tokens, want.timings.n_generated_tokens);
        }
      }
    }
    EXPECT_GT(n_accepted_, 20);
    EXPECT_GT(n_drafted_, n_accepted_ + 20) << "no draft was wrong";
  }

  ThreadPool pool_{1};
  std::shared_ptr<FakeModel> model_;
  int64_t n_drafted_ = 0, n_accepted_ = 0, most_rows_ = 0;
};

TEST_F(EngineSpeculation, GreedyTextIsTheSame) { ExpectEqualAnswers({.memory = 2}, 0); }

TEST_F(EngineSpeculation, SampledTextIsTheSame) { ExpectEqualAnswers({.memory = 2}, 0.7f); }

TEST_F(EngineSpeculation, StateThatCannotBeCutIsComputedAgain) {
  ExpectEqualAnswers({.can_truncate = false, .memory = 2}, 0);
  ExpectEqualAnswers({.can_truncate = false, .memory = 2}, 0.7f);
}

TEST_F(EngineSpeculation, ContextsEndAndRotaryFactorsChangeWhereTheyDo) {
  ExpectEqualAnswers({.max_context = 60, .memory = 2}, 0);
  ExpectEqualAnswers({.original_context = 40, .memory = 3}, 0);
  ExpectEqualAnswers({.original_context = 40, .can_truncate = false, .memory = 3}, 0.6f);
}

TEST_F(EngineSpeculation, SamplersThatLookBackSeeWhatTheyWouldHaveSeen) {
  ExpectEqualAnswers({.memory = 2}, 0.8f, [](SamplerOptions& sampler) {
    sampler.repetition_penalty = 1.05f;
    sampler.frequency_penalty = 0.05f;
    sampler.penalty_last_n = 20;
    sampler.dry_multiplier = 0.2f;
    sampler.logit_bias = {{'a', 1.0f}, {'b', -INFINITY}};
  });
  ExpectEqualAnswers({.memory = 2}, 0.8f, [](SamplerOptions& sampler) {
    sampler.mirostat = 2;
    sampler.mirostat_tau = 3;
  });
  ExpectEqualAnswers({.memory = 2}, 0.8f, [](SamplerOptions& sampler) {
    sampler.xtc_probability = 0.3f;
    sampler.xtc_threshold = 0.05f;
    sampler.top_k = 5;
  });
}

TEST_F(EngineSpeculation, StepsWithDraftsHaveAtMostSixteenRows) {
  for (bool can_truncate : {true, false}) {
    std::deque<Job> jobs = Jobs(4, 9, 0.9f);
    for (Job& job : jobs) job.prompt.resize(2, 'x');
    Run({.can_truncate = can_truncate, .memory = 2},
        {.prefill_chunk = 8, .max_sequences = 5, .speculation = Options({"suffix", 15}, {})}, jobs);
    EXPECT_GT(n_drafted_, 0);
    EXPECT_LE(most_rows_, 16 + 8);
  }
}

// The state that a finished request leaves must be that of its tokens, not of its drafts.
TEST_F(EngineSpeculation, TheNextTurnGoesOnFromTheRightState) {
  for (bool can_truncate : {true, false}) {
    const FakeModelOptions model_options{.can_truncate = can_truncate};
    for (const Mode& mode : {Mode{"suffix", 15}, Mode{"draft", 5}}) {
      model_ = std::make_shared<FakeModel>(model_options);
      auto engine = *Engine::Create(model_, std::make_shared<FakeTokenizer>(), pool_,
                                    {.speculation = Options(mode, model_options)});
      std::vector<int32_t> text = {'a', 'b', 'c', 'a', 'b', 'c', 'a', 'b'};
      for (int turn = 0; turn < 8; ++turn) {
        Job job;
        job.options.max_tokens = 5 + turn;
        job.options.ignore_eos = true;
        job.options.cache_scope = 1;
        ASSERT_TRUE(engine->Submit(text, job.options, &job.sink));
        while (engine->Step()) {
        }
        std::vector<int32_t> expected = text;
        for (int i = 0; i < 5 + turn; ++i) expected.push_back(FakeModel::Next(expected, false));
        const std::vector<int32_t> want(expected.begin() + static_cast<long>(text.size()),
                                        expected.end());
        ASSERT_EQ(job.sink.tokens, want) << mode.name << " turn " << turn;
        if (turn > 0 && can_truncate) {
          EXPECT_EQ(job.sink.timings.n_cached_tokens + 2, std::ssize(text));
        }
        text = expected;
        text.push_back('a');
        n_drafted_ += job.sink.timings.n_drafted_tokens;
      }
    }
  }
  EXPECT_GT(n_drafted_, 0);
}

TEST_F(EngineSpeculation, ADraftThatMakesAStepFailCostsNoAnswer) {
  // 'z' is drafted from the prompt, but the model never chooses it.
  std::deque<Job> jobs(1);
  jobs[0].options.max_tokens = 60;
  jobs[0].options.ignore_eos = true;
  std::vector<int32_t>& prompt = jobs[0].prompt;
  for (int32_t c = 'a'; c < 'z'; ++c) prompt.insert(prompt.end(), {c, 'A', 'B'});
  const std::vector<int32_t> want = [&] {
    std::deque<Job> plain = jobs;
    Run({}, {}, plain);
    return plain[0].sink.tokens;
  }();
  Run({.poison = 'B'}, {.prefill_chunk = 500}, jobs);
  ASSERT_EQ(jobs[0].sink.reason, FinishReason::kError);  // The prompt itself has it.

  class Forgiving : public FakeModel {  // Fails on it only behind the prompt.
   public:
    Forgiving() : FakeModel({}) {}
    Result<> Forward(ThreadPool& pool, std::span<const model::StepPart> parts, float* logits,
                     const std::atomic<bool>* cancel) const override {
      const auto& ids = parts[0].ids;
      if (ids.size() < 20 && std::count(ids.begin(), ids.end(), 'B') > 0) {
        ++n_failed;
        return Error(Code::kInternal, "no");
      }
      return FakeModel::Forward(pool, parts, logits, cancel);
    }
    mutable int n_failed = 0;
  };
  const auto forgiving = std::make_shared<Forgiving>();
  SpeculationOptions speculation;
  speculation.mode = "ngram";
  speculation.fixed_length = 4;
  auto engine = *Engine::Create(forgiving, std::make_shared<FakeTokenizer>(), pool_,
                                {.speculation = speculation});
  Job job;
  job.options = jobs[0].options;
  ASSERT_TRUE(engine->Submit(prompt, job.options, &job.sink));
  while (engine->Step()) {
  }
  EXPECT_EQ(job.sink.tokens, want) << job.sink.status.message();
  EXPECT_GT(forgiving->n_failed, 0);
}

// Not only the same as without: the distribution that the logits and the options say.
TEST_F(EngineSpeculation, SampledTokensHaveTheirDistribution) {
  const FakeModelOptions model_options{.max_context = 20000, .memory = 1};
  for (const Mode& mode : {Mode{"draft", 4}, Mode{"suffix", 8}}) {
    std::deque<Job> jobs(1);
    jobs[0].prompt = {'a'};
    jobs[0].options.max_tokens = 12000;
    jobs[0].options.ignore_eos = true;
    jobs[0].options.sampler = {.temperature = 2.0f, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 5};
    Run(model_options, {.context = 20000, .speculation = Options(mode, model_options)}, jobs);
    const auto& tokens = jobs[0].sink.tokens;
    ASSERT_EQ(tokens.size(), 12000u);
    // One token has logit 5, the others 0: at temperature 2 its odds are e^2.5 to one of each.
    const double total = std::exp(2.5) + kFakeVocab - 1;
    constexpr size_t kBins = 12;  // The favourite, and the others by id.
    std::array<double, kBins> seen{}, expected{};
    for (size_t i = 1; i < tokens.size(); ++i) {
      const int32_t favourite = FakeModel::Next(std::span(&tokens[i - 1], 1), false);
      for (int32_t id = 0; id < kFakeVocab; ++id) {
        const size_t bin = id == favourite ? 0 : 1 + static_cast<size_t>(id) % (kBins - 1);
        expected[bin] += (id == favourite ? std::exp(2.5) : 1) / total;
        seen[bin] += id == tokens[i];
      }
    }
    double chi_square = 0;
    for (size_t bin = 0; bin < kBins; ++bin) {
      chi_square += std::pow(seen[bin] - expected[bin], 2) / expected[bin];
    }
    EXPECT_LT(chi_square, 35.0) << mode.name;  // 11 degrees of freedom: p = 0.0003.
    EXPECT_GT(jobs[0].sink.timings.n_accepted_tokens, 100) << mode.name;
  }
}

TEST_F(EngineSpeculation, AnotherVocabularyIsRefused) {
  class OtherTokenizer : public FakeTokenizer {
    std::string TokenBytes(int32_t id, bool special) const override {
      return id == 65 ? "!" : FakeTokenizer::TokenBytes(id, special);
    }
  };
  SpeculationOptions options = Options({"draft", 0}, {});
  options.draft_tokenizer = std::make_shared<OtherTokenizer>();
  const auto engine =
      Engine::Create(std::make_shared<FakeModel>(FakeModelOptions{}),
                     std::make_shared<FakeTokenizer>(), pool_, {.speculation = options});
  ASSERT_FALSE(engine.has_value());
  EXPECT_EQ(
      engine.status().message(),
      "the draft model has another vocabulary: token 65 is \"!\" there and \"A\" in the model; "
      "take a smaller model of the same family");
}

}  // namespace
}  // namespace lamina::engine
