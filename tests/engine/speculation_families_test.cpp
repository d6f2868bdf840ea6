// Speculation over real forward passes: text by text the same, row by row the same bits, and no
// allocation per token.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <new>

#include "../model/support.h"
#include "engine/engine.h"
#include "fake_model.h"

namespace {
std::atomic<int64_t> g_n_allocations{0};
[[gnu::noinline]] void* Allocate(std::size_t n_bytes) {
  g_n_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(n_bytes)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void Free(void* p) { std::free(p); }

}  // namespace

void* operator new(std::size_t n_bytes) { return Allocate(n_bytes); }
void* operator new[](std::size_t n_bytes) { return Allocate(n_bytes); }
void operator delete(void* p) noexcept { Free(p); }
void operator delete[](void* p) noexcept { Free(p); }
void operator delete(void* p, std::size_t) noexcept { Free(p); }
void operator delete[](void* p, std::size_t) noexcept { Free(p); }

namespace lamina::engine {
namespace {

using model::test::FamilyFolder;
using model::test::FamilyNames;
using model::test::LoadModel;
using model::test::ReadValues;

struct CountingSink : TokenSink {
  void OnText(std::string_view, int32_t token) override {
    if (token >= 0) ++n_tokens;
  }
  void OnFinish(FinishReason, const Status&, const Timings& measured) override {
    timings = measured;
    finished = true;
  }
  int n_tokens = 0;
  bool finished = false;
  Timings timings;
};

class SpeculationFamily : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string folder = FamilyFolder(GetParam());
    const auto expected = ReadValues(folder + "/expected.safetensors");
    ids_ = expected.at("input_ids").AsIds();
    greedy_ = expected.at("greedy").AsIds();
    model_ = LoadModel(folder + "/model.gguf", pool_);
  }

  std::unique_ptr<Engine> Make(const char* mode, int length, const char* draft_family = nullptr) {
    EngineOptions options;
    options.context = std::min<int64_t>(model_->spec().max_context, 200);
    options.speculation.mode = mode;
    options.speculation.fixed_length = length;
    if (draft_family != nullptr) {
      options.speculation.draft_model =
          LoadModel(FamilyFolder(draft_family) + "/model.gguf", pool_);
      options.speculation.draft_tokenizer = std::make_shared<FakeTokenizer>();
    }
    auto engine = Engine::Create(model_, std::make_shared<FakeTokenizer>(), pool_, options);
    EXPECT_TRUE(engine.has_value()) << engine.status().message();
    return std::move(*engine);
  }

  std::deque<Collector> Answers(Engine& engine, float temperature, int64_t n_tokens) {
    std::deque<Collector> sinks;
    for (size_t n : {24, 40, 9}) {
      GenerateOptions options;
      options.max_tokens = n_tokens;
      options.ignore_eos = true;
      options.sampler.temperature = temperature;
      options.sampler.seed = n;
      sinks.emplace_back();
      EXPECT_TRUE(engine.Submit({ids_.begin(), ids_.begin() + static_cast<long>(n)}, options,
                                &sinks.back()));
      while (n == 24 && engine.Step()) {  // The first alone, the others together.
      }
    }
    while (engine.Step()) {
    }
    for (const Collector& sink : sinks) {
      EXPECT_EQ(sink.reason, FinishReason::kLength) << sink.status.message();
      n_drafted_ += sink.timings.n_drafted_tokens;
      n_accepted_ += sink.timings.n_accepted_tokens;
    }
    return sinks;
  }

  ThreadPool pool_{1};
  std::vector<int32_t> ids_, greedy_;
  std::shared_ptr<const model::Model> model_;
  int64_t n_drafted_ = 0, n_accepted_ = 0;
};

TEST_P(SpeculationFamily, TextIsTheSame) {
  // A draft model that is always right, and one that hardly ever is, with state of another kind.
  const char* other = GetParam() == "qwen35" ? "llama" : "qwen35";
  const struct {
    const char* mode;
    int length;
    const char* draft;
  } cases[] = {{"suffix", 15, nullptr},
               {"ngram", 3, nullptr},
               {"auto", 0, nullptr},
               {"draft", 5, GetParam().c_str()},
               {"draft", 3, other}};
  for (float temperature : {0.0f, 1.0f}) {
    const int64_t n_tokens = 48;
    const auto plain = Answers(*Make("off", 0), temperature, n_tokens);
    if (temperature == 0) {
      ASSERT_EQ(std::vector<int32_t>(plain[0].tokens.begin(),
                                     plain[0].tokens.begin() + std::ssize(greedy_)),
                greedy_);
    }
    for (const auto& c : cases) {
      const auto drafted = Answers(*Make(c.mode, c.length, c.draft), temperature, n_tokens);
      for (size_t i = 0; i < plain.size(); ++i) {
        EXPECT_EQ(drafted[i].tokens, plain[i].tokens)
            << c.mode << c.length << " at temperature " << temperature << ", request " << i;
      }
    }
  }
  EXPECT_GT(n_accepted_, 0);
  EXPECT_GT(n_drafted_, n_accepted_);
}

TEST_P(SpeculationFamily, RowsAfterARewindHaveTheSameBits) {
  const auto n_vocab = static_cast<size_t>(model_->spec().n_vocab);
  const auto feed = [&](model::Sequence& sequence, std::span<const int32_t> ids) {
    std::vector<float> logits(ids.size() * n_vocab);
    const model::StepPart part{&sequence, ids, std::ssize(ids)};
    EXPECT_TRUE(model_->Forward(pool_, {&part, 1}, logits.data(), nullptr));
    return logits;
  };
  const auto sequence = std::move(*model_->NewSequence());
  const std::vector<float> want = model::test::Logits(*model_, pool_, ids_, {1});
  sequence->Announce(std::ssize(ids_));
  int64_t n_rewound = 0;
  for (size_t n = 0; n < ids_.size();) {
    const size_t n_right = std::min<size_t>(1 + n % 4, ids_.size() - n);
    std::vector<int32_t> rows(ids_.begin() + static_cast<long>(n),
                              ids_.begin() + static_cast<long>(n + n_right));
    const size_t n_wrong = std::min<size_t>(16 - rows.size(), ids_.size() - n - n_right);
    for (size_t i = 0; i < n_wrong; ++i)
      rows.push_back(static_cast<int32_t>((7 * i + n) % n_vocab));
    sequence->Checkpoint();
    std::vector<float> logits = feed(*sequence, rows);
    logits.resize(n_right * n_vocab);
    ASSERT_TRUE(
        std::equal(logits.begin(), logits.end(), want.begin() + static_cast<long>(n * n_vocab)))
        << "rows from " << n;
    const int64_t kept = sequence->Rewind(static_cast<int64_t>(n + n_right));
    ASSERT_TRUE(kept == static_cast<int64_t>(n + n_right) || kept == static_cast<int64_t>(n));
    n_rewound += static_cast<int64_t>(n_wrong);
    if (kept == static_cast<int64_t>(n)) {
      feed(*sequence, std::span(ids_).subspan(n, n_right));
    }
    n += n_right;
  }
  EXPECT_GT(n_rewound, 100);
}

TEST_P(SpeculationFamily, ATokenAllocatesNothing) {
  for (const char* mode : {"off", "suffix", "ngram", "draft"}) {
    const auto engine = Make(mode, 5, std::string_view(mode) == "draft" ? "llama" : nullptr);
    CountingSink sink;
    GenerateOptions options;
    options.max_tokens = 100;
    options.ignore_eos = true;
    options.sampler.temperature = 1;
    // Long enough for the long rotary factors: where they set in, all of a sequence is read anew.
    ASSERT_TRUE(engine->Submit({ids_.begin(), ids_.begin() + 40}, options, &sink));
    const int64_t n_tokens = std::min<int64_t>(90, engine->context() - 50);
    while (!sink.finished && sink.n_tokens < 10) engine->Step();
    const int64_t before = g_n_allocations.load();
    while (!sink.finished && sink.n_tokens < n_tokens) engine->Step();
    EXPECT_EQ(g_n_allocations.load() - before, 0) << mode;
    EXPECT_GE(sink.n_tokens, n_tokens) << mode;
    while (!sink.finished) engine->Step();
    EXPECT_EQ(sink.timings.n_drafted_tokens > 0, std::string_view(mode) != "off") << mode;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SpeculationFamily, testing::ValuesIn(FamilyNames()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace lamina::engine
