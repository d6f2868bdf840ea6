// The controller on simulated machines: times are told, not measured, so every outcome is exact.
#include "engine/speculation.h"

#include <gtest/gtest.h>

#include <functional>

#include "engine/random.h"
#include "fake_model.h"

namespace lamina::engine {
namespace {

using Cost = std::function<double(int)>;  // Milliseconds of a step by its rows.

Cost Line(double slope) {
  return [=](int n_rows) { return 1 + slope * (n_rows - 1); };
}

std::vector<int32_t> RandomText(uint64_t seed, size_t n, uint64_t n_different) {
  Random random(seed);
  std::vector<int32_t> text(n);
  for (int32_t& token : text) token = static_cast<int32_t>(random.Next() % n_different);
  return text;
}

std::unique_ptr<Speculator> MakeSpeculator(const std::string& mode, bool recurrent = false) {
  static ThreadPool pool(1);
  const FakeModel model({.can_truncate = !recurrent});
  SpeculationOptions options;
  options.mode = mode;
  auto speculator = Speculator::Create(options, model, FakeTokenizer(), pool);
  EXPECT_TRUE(speculator.has_value()) << speculator.status().message();
  return std::move(*speculator);
}

// A request whose answer is known from the start.
struct Scripted {
  Scripted(const Speculator& speculator, std::vector<int32_t> prompt, std::vector<int32_t> script)
      : history(std::move(prompt)), answer(std::move(script)) {
    speculation = speculator.Start(std::ssize(history) + std::ssize(answer));
    history.reserve(history.size() + answer.size());
  }
  bool done() const { return n_done >= answer.size(); }

  std::unique_ptr<Speculation> speculation;
  std::vector<int32_t> history, answer;
  size_t n_done = 0;
  int n_pending = 1;
  double ms = 0;
  int64_t n_drafted = 0;
};

// Steps of all requests until one is done; the clock is `cost`.
void RunScripts(Speculator& speculator, std::vector<Scripted*> requests, const Cost& cost) {
  for (;;) {
    std::vector<Turn> turns;
    for (Scripted* r : requests) {
      if (r->done()) return;
      const auto n_left = static_cast<int>(r->answer.size() - r->n_done);
      turns.push_back({r->speculation.get(), r->history, r->n_pending,
                       std::min(n_left - 1, kMaxDraftedRows - r->n_pending)});
    }
    speculator.Plan(turns, nullptr);
    int n_rows = 0;
    for (const Turn& turn : turns) n_rows += turn.n_pending + turn.n_draft;
    ASSERT_TRUE(n_rows <= kMaxDraftedRows || std::ssize(turns) > kMaxDraftedRows);
    const double ms = cost(n_rows);
    std::vector<std::span<const int32_t>> chosen;
    for (size_t i = 0; i < turns.size(); ++i) {
      Scripted& r = *requests[i];
      const size_t first = r.n_done;
      int n_right = 0;
      for (;;) {
        const int32_t token = r.answer[r.n_done++];
        const bool right =
            n_right < turns[i].n_draft &&
            r.speculation->chosen->draft.tokens[static_cast<size_t>(n_right)] == token;
        n_right += right;
        if (!right) break;
      }
      chosen.push_back(std::span(r.answer).subspan(first, r.n_done - first));
      const bool replays = speculator.replays() && n_right < turns[i].n_draft;
      r.n_pending = replays ? r.n_pending + n_right + 1 : 1;
      r.ms += ms;
      r.n_drafted += turns[i].n_draft;
    }
    speculator.ObserveStep(turns, 0, ms, chosen);
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i]->history.insert(requests[i]->history.end(), chosen[i].begin(), chosen[i].end());
    }
  }
}

// How much faster than one token per step.
double SpeedUp(const std::string& mode, const std::vector<int32_t>& prompt,
               const std::vector<int32_t>& answer, const Cost& cost, bool recurrent = false) {
  const auto speculator = MakeSpeculator(mode, recurrent);
  speculator->ObservePrefill(std::ssize(prompt), 0.3 * static_cast<double>(prompt.size()));
  Scripted request(*speculator, prompt, answer);
  RunScripts(*speculator, {&request}, cost);
  return static_cast<double>(answer.size()) * cost(1) / request.ms;
}

const std::vector<int32_t> kPrompt = RandomText(1, 300, 5000);

TEST(Speculation, ACopyPays) {
  const std::vector<int32_t> copy(kPrompt.begin() + 40, kPrompt.begin() + 200);
  for (const char* mode : {"ngram", "suffix", "auto"}) {
    EXPECT_GT(SpeedUp(mode, kPrompt, copy, Line(0.1)), 4.0) << mode;
    EXPECT_GT(SpeedUp(mode, kPrompt, copy, Line(0.3)), 2.2) << mode;
    EXPECT_GT(SpeedUp(mode, kPrompt, copy, Line(0.1), true), 4.0) << mode << ", recurrent";
  }
}

TEST(Speculation, ACopyWithChangesPays) {
  std::vector<int32_t> edited(kPrompt.begin() + 40, kPrompt.begin() + 240);
  for (size_t i = 15; i < edited.size(); i += 20) edited[i] = 9000 + static_cast<int32_t>(i);
  EXPECT_GT(SpeedUp("auto", kPrompt, edited, Line(0.2)), 1.7);
  EXPECT_GT(SpeedUp("auto", kPrompt, edited, Line(0.2), true), 1.3);
}

TEST(Speculation, WrongDraftsCostLittle) {
  for (bool recurrent : {false, true}) {
    for (double slope : {0.05, 0.3, 0.6, 1.0}) {
      for (uint64_t n_different : {2, 4, 30, 1000}) {
        for (size_t n : {128, 1000}) {
          const double up = SpeedUp("auto", RandomText(5, 300, n_different),
                                    RandomText(6, n, n_different), Line(slope), recurrent);
          EXPECT_GE(up, 0.97) << slope << ", " << n_different << " tokens, " << n;
        }
      }
    }
  }
}

// Looks like a copy for a while, then never is: the worst that a text can do.
TEST(Speculation, BaitCostsLittle) {
  for (bool recurrent : {false, true}) {
    for (size_t n_bait : {2, 5, 10, 20, 40}) {
      std::vector<int32_t> bait;
      Random random(n_bait);
      while (bait.size() < 1000) {
        const size_t begin = random.Next() % 250;
        for (size_t i = 0; i < n_bait; ++i) bait.push_back(kPrompt[begin + i]);
        bait.push_back(9000 + static_cast<int32_t>(bait.size()));
      }
      for (double slope : {0.3, 0.6, 1.0}) {
        EXPECT_GE(SpeedUp("auto", kPrompt, bait, Line(slope), recurrent), 0.97)
            << n_bait << " " << slope;
      }
    }
  }
}

TEST(Speculation, LittleIsDraftedWhereRowsCostAsMuchAsSteps) {
  const auto speculator = MakeSpeculator("auto");
  Scripted request(*speculator, kPrompt, {kPrompt.begin(), kPrompt.begin() + 250});
  RunScripts(*speculator, {&request}, Line(1.0));
  EXPECT_LT(request.n_drafted, 100);
  EXPECT_LE(request.ms, 250 * 1.03);
}

TEST(Speculation, AMachineThatSlowsDownForAWhileIsForgiven) {
  const std::vector<int32_t> copy(kPrompt.begin(), kPrompt.begin() + 290);
  int n_steps = 0;
  const Cost cost = [&](int n_rows) {
    const bool disturbed = n_rows > 1 && ++n_steps < 6;
    return (disturbed ? 6.0 : 1.0) * Line(0.2)(n_rows);
  };
  const auto speculator = MakeSpeculator("auto");
  double first_ms = 0, last_ms = 0;
  for (int i = 0; i < 6; ++i) {
    Scripted request(*speculator, kPrompt, copy);
    RunScripts(*speculator, {&request}, cost);
    (i == 0 ? first_ms : last_ms) = request.ms;
  }
  EXPECT_LT(last_ms, 290 / 2.0) << "first " << first_ms;
}

TEST(Speculation, OthersInTheStepAreNotSlowedDown) {
  const std::vector<int32_t> copy(kPrompt.begin(), kPrompt.begin() + 250);
  for (double slope : {0.02, 0.3}) {
    const auto speculator = MakeSpeculator("auto");
    Scripted copies(*speculator, kPrompt, copy),
        other(*speculator, RandomText(2, 300, 5000), RandomText(3, 250, 5000));
    RunScripts(*speculator, {&copies, &other}, Line(slope));
    const double plain_ms = static_cast<double>(other.n_done) * Line(slope)(2);
    EXPECT_LE(other.ms, 1.03 * plain_ms) << slope;
  }
  // Both copy: both gain.
  const auto speculator = MakeSpeculator("auto");
  Scripted a(*speculator, kPrompt, copy), b(*speculator, kPrompt, copy);
  RunScripts(*speculator, {&a, &b}, Line(0.1));
  EXPECT_LT(a.ms, 0.5 * 250 * Line(0.1)(2));
}

TEST(Speculation, FullStepsDraftNothing) {
  const auto speculator = MakeSpeculator("auto");
  std::vector<std::unique_ptr<Scripted>> requests;
  std::vector<Scripted*> pointers;
  for (int i = 0; i < 17; ++i) {
    requests.push_back(std::make_unique<Scripted>(
        *speculator, kPrompt, std::vector<int32_t>(kPrompt.begin(), kPrompt.begin() + 50)));
    pointers.push_back(requests.back().get());
  }
  RunScripts(*speculator, pointers, Line(0.1));
  for (const auto& request : requests) EXPECT_EQ(request->n_drafted, 0);
}

TEST(StepCost, MeasuredTimesOutweighTheLineAndFade) {
  StepCost cost;
  cost.ObservePrefill(100, 20);
  EXPECT_FALSE(cost.known());
  cost.ObserveStep(1, 5.0);  // The first pages memory in.
  cost.ObserveStep(1, 1.0);
  EXPECT_TRUE(cost.known());
  EXPECT_NEAR(cost.StepMs(1), 1.0, 1e-9);
  EXPECT_NEAR(cost.StepMs(6), 2.0, 1e-9);
  for (int i = 0; i < 20; ++i) cost.ObserveStep(4, 3.0);
  EXPECT_NEAR(cost.StepMs(4), 3.0, 0.05);
  EXPECT_GT(cost.StepMs(8), 4.0);
  for (int i = 0; i < 20; ++i) cost.ObserveStep(8, 3.2);
  EXPECT_NEAR(cost.StepMs(8), 3.2, 0.1);
  for (int i = 0; i < 2000; ++i) cost.ObserveStep(1, 2.0);
  EXPECT_NEAR(cost.StepMs(1), 2.0, 1e-6);
}

TEST(StepCost, APrefillThatReadTheDiskIsNotBelieved) {
  StepCost cost;
  cost.ObservePrefill(10, 5000);
  for (int i = 0; i < 3; ++i) cost.ObserveStep(1, 1.0);
  EXPECT_LE(cost.StepMs(3), 2.0);
}

TEST(AcceptanceRate, MovesFromThePriorToWhatIsSeen) {
  const float priors[] = {0.2f, 0.9f};
  Acceptance all(priors), mine(&all);
  EXPECT_NEAR(mine.Rate(0), 0.2, 1e-6);
  for (int i = 0; i < 100; ++i) mine.Observe(0, i % 10 != 0);
  EXPECT_NEAR(mine.Rate(0), 0.9, 0.1);
  EXPECT_NEAR(all.Rate(0), 0.2, 1e-6);
  for (int i = 0; i < 100; ++i) mine.Observe(0, false);
  EXPECT_LT(mine.Rate(0), 0.15);
  EXPECT_NEAR(mine.Rate(1), 0.9, 1e-6);
}

TEST(SpeculationModes, AreCheckedWithASentence) {
  EXPECT_TRUE(CheckSpeculation("off", false));
  EXPECT_TRUE(CheckSpeculation("auto", true));
  EXPECT_TRUE(CheckSpeculation("draft", true));
  const auto Message = [](const char* mode, bool has_model) {
    return CheckSpeculation(mode, has_model).status().message();
  };
  EXPECT_EQ(Message("fast", false),
            "speculate is \"fast\"; it must be one of auto, off, ngram, suffix, draft");
  EXPECT_NE(Message("draft", false).find("--draft-model"), std::string::npos);
  EXPECT_NE(Message("suffix", true).find("must be auto or draft"), std::string::npos);
}

}  // namespace
}  // namespace lamina::engine
