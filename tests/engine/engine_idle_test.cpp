// A resident engine that nobody asks uses no CPU: run alone, since it measures this process.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "../model/support.h"
#include "engine/engine.h"
#include "fake_model.h"

namespace lamina::engine {
namespace {

double ProcessCpuSeconds() {
  rusage usage;
  EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST(IdleEngine, UsesNoCpu) {
  ThreadPool pool(4);
  const std::string folder = model::test::FamilyFolder("llama");
  auto engine = Engine::Create(model::test::LoadModel(folder + "/model.gguf", pool),
                               std::make_shared<FakeTokenizer>(), pool, {});
  ASSERT_TRUE(engine.has_value()) << engine.status().message();
  for (int answer = 0; answer < 2; ++answer) {
    Collector sink;
    GenerateOptions options;
    options.max_tokens = 8;
    options.ignore_eos = true;
    options.cache_scope = 1;
    ASSERT_TRUE((*engine)->Submit({1, 2, 3}, options, &sink).has_value());
    while ((*engine)->Step()) {
    }
    ASSERT_EQ(sink.tokens.size(), 8u);

    // Between two answers: the model, the sequence's state and the threads stay.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double before = ProcessCpuSeconds();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    EXPECT_LT(ProcessCpuSeconds() - before, 0.005);
  }
}

}  // namespace
}  // namespace lamina::engine
