// Speculation on the real models: greedy and sampled texts are the same with and without.
#include <gtest/gtest.h>

#include "../model/support.h"
#include "engine/engine.h"
#include "fake_model.h"
#include "text/tokenizer.h"

namespace lamina::engine {
namespace {

constexpr const char* kText =
    "The ferry leaves the north pier at 7:40, 9:10 and 11:55; the last boat back is at 18:25.\n"
    "The ferry leaves the north pier at 7:40, 9:10 and 11:55; the last boat back is at 18:25.\n"
    "The ferry leaves the north pier at";

class SpeculationReal : public testing::TestWithParam<const char*> {};

TEST_P(SpeculationReal, TextIsTheSame) {
  const std::string path = model::test::RealModel(GetParam());
  if (path.empty()) return;
  ThreadPool pool(2);
  const auto source = std::move(*format::ModelSource::Open(path));
  const std::shared_ptr<const text::Tokenizer> tokenizer =
      std::move(*text::Tokenizer::Create(*source));
  const auto model = model::test::LoadModel(path, pool);
  int64_t n_wrong = 0;
  for (float temperature : {0.0f, 1.5f}) {
    Collector answers[3];
    for (int i = 0; i < 3; ++i) {
      EngineOptions options;
      options.context = 256;
      options.speculation.mode = i == 0 ? "off" : "auto";
      options.speculation.fixed_length = i == 1 ? 7 : 0;
      const auto engine = std::move(*Engine::Create(model, tokenizer, pool, options));
      GenerateOptions generate;
      generate.max_tokens = 48;
      generate.sampler.temperature = temperature;
      generate.sampler.seed = 3;
      ASSERT_TRUE(engine->Submit(tokenizer->Encode(kText, {}), generate, &answers[i]));
      while (engine->Step()) {
      }
      ASSERT_NE(answers[i].reason, FinishReason::kError) << answers[i].status.message();
      EXPECT_EQ(answers[i].tokens, answers[0].tokens) << temperature << " " << i;
      EXPECT_EQ(answers[i].text, answers[0].text);
    }
    EXPECT_GT(answers[1].timings.n_accepted_tokens, 0);
    n_wrong += answers[1].timings.n_drafted_tokens - answers[1].timings.n_accepted_tokens;
  }
  EXPECT_GT(n_wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(All, SpeculationReal, testing::Values("smollm2.gguf", "gemma3.gguf"),
                         [](const auto& info) {
                           return std::string(info.param, std::string(info.param).find('.'));
                         });

}  // namespace
}  // namespace lamina::engine
