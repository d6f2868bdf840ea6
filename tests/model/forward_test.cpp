// Steps: errors leave sequences as they were, cancelling ends at a layer, truncated and long
// sequences go on with the same bits, and a decoded token allocates nothing.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>
#include <thread>

#include "support.h"

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

namespace lamina::model::test {
namespace {

std::vector<int32_t> SomeIds(int64_t n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>((i * 37 + i * i * 11 + 5) % 512);
  return ids;
}

class ForwardTest : public testing::Test {
 protected:
  void Load(const std::string& family, const LoadOptions& options = {}) {
    model_ = LoadModel(FamilyFolder(family) + "/model.gguf", pool_, options);
    sequence_ = std::move(*model_->NewSequence());
  }
  Result<> Run(std::span<const int32_t> ids, int64_t n_logits = 0) {
    logits_.resize(static_cast<size_t>(n_logits * model_->spec().n_vocab));
    const StepPart part{sequence_.get(), ids, n_logits};
    return model_->Forward(pool_, {&part, 1}, logits_.data(), cancel_);
  }

  ThreadPool pool_{2};
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Sequence> sequence_;
  std::vector<float> logits_;
  const std::atomic<bool>* cancel_ = nullptr;
};

TEST_F(ForwardTest, WrongStepsLeaveTheSequence) {
  Load("llama", {.context = 100});
  const std::vector<int32_t> ids = SomeIds(101);
  ASSERT_TRUE(Run(std::span(ids).first(90)));
  const int32_t outside[] = {1, 512};
  EXPECT_EQ(Run(outside).status().code(), Code::kInvalidArgument);
  const int32_t negative[] = {-1};
  EXPECT_EQ(Run(negative).status().code(), Code::kInvalidArgument);
  const auto full = Run(std::span(ids).last(11));
  EXPECT_EQ(full.status().code(), Code::kOutOfRange);
  EXPECT_NE(full.status().message().find("100"), std::string::npos) << full.status().message();
  const StepPart once{sequence_.get(), std::span(ids).first(1), 0};
  const StepPart twice[] = {once, once};
  EXPECT_EQ(model_->Forward(pool_, twice, nullptr, nullptr).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(sequence_->n_tokens(), 90);
  ASSERT_TRUE(Run(std::span(ids).last(10), 1));
  EXPECT_EQ(sequence_->n_tokens(), 100);
}

TEST_F(ForwardTest, CancelledBeforeTheStep) {
  Load("qwen35");
  const std::vector<int32_t> ids = SomeIds(60);
  ASSERT_TRUE(Run(std::span(ids).first(30)));
  const std::atomic<bool> cancel{true};
  cancel_ = &cancel;
  EXPECT_EQ(Run(std::span(ids).last(30)).status().code(), Code::kCancelled);
  EXPECT_EQ(sequence_->n_tokens(), 30);
}

// Whenever the flag comes, the step ends and the sequence can be used again.
TEST_F(ForwardTest, CancelledFromAnotherThread) {
  for (const char* family : {"llama", "gemma4", "qwen35", "mixtral"}) {
    Load(family);
    const std::vector<int32_t> ids = SomeIds(250);
    ASSERT_TRUE(Run(std::span(ids).first(10)));
    int n_cancelled = 0;
    for (int i = 0; i < 20; ++i) {
      std::atomic<bool> cancel{false};
      cancel_ = &cancel;
      std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::microseconds(150 * i));
        cancel.store(true);
      });
      const int64_t before = sequence_->n_tokens();
      const auto result = Run(std::span(ids).subspan(static_cast<size_t>(before), 200), 200);
      other.join();
      cancel_ = nullptr;
      if (result) {
        EXPECT_EQ(sequence_->n_tokens(), before + 200);
      } else {
        ++n_cancelled;
        EXPECT_EQ(result.error().code(), Code::kCancelled);
        // Recurrent state that was broken off is cleared.
        const bool recurrent = std::string(family) == "qwen35";
        const int64_t left = sequence_->n_tokens();
        EXPECT_TRUE(left == before || (recurrent && left == 0)) << left;
      }
      sequence_->Clear();
      ASSERT_TRUE(Run(std::span(ids).first(10), 10));
      EXPECT_EQ(logits_, Logits(*model_, pool_, {ids.begin(), ids.begin() + 10}, {10}));
    }
    std::printf("%s: %d of 20 steps cancelled\n", family, n_cancelled);
    EXPECT_GT(n_cancelled, 0) << family;
  }
}

TEST_F(ForwardTest, TruncatedSequencesGoOnWithTheSameBits) {
  Load("gemma3");  // Windows of 16: the cut must find its positions still there.
  const std::vector<int32_t> ids = SomeIds(120);
  ASSERT_TRUE(Run(std::span(ids).first(100)));
  const std::vector<int32_t> wrong = SomeIds(20);
  ASSERT_TRUE(Run(wrong));
  ASSERT_TRUE(sequence_->Truncate(100));
  ASSERT_TRUE(Run(std::span(ids).last(20), 20));
  const std::vector<float> all = Logits(*model_, pool_, ids, {120});
  EXPECT_TRUE(
      std::equal(logits_.begin(), logits_.end(), all.end() - static_cast<int64_t>(logits_.size())));
}

// Pages leave windows and return to the pool while the sequence goes on.
TEST_F(ForwardTest, LongSequencesOfWindowsHaveTheSameBitsInAnyChunks) {
  for (const char* family : {"gemma3", "gemma4", "mistral-swa", "phi3"}) {
    Load(family);
    const std::vector<int32_t> ids = SomeIds(250);
    const std::vector<float> want = Logits(*model_, pool_, ids, {250});
    EXPECT_EQ(want, Logits(*model_, pool_, ids, {150, 1})) << family;
    EXPECT_EQ(want, Logits(*model_, pool_, ids, {100, 7})) << family;
  }
}

TEST_F(ForwardTest, NarrowerKeysAndValuesStayNear) {
  const std::vector<int32_t> ids = SomeIds(72);
  Load("llama");
  const std::vector<float> want = Logits(*model_, pool_, ids, {72});
  const struct {
    const char* type;
    double max_kl;
  } cases[] = {{"f16", 1e-5}, {"bf16", 1e-3}, {"q8_0", 1e-2}};
  for (const auto& c : cases) {
    Load("llama", {.kv_type = c.type});
    EXPECT_STREQ(model_->kv_type(), c.type);
    const double kl = MeanKl(want, Logits(*model_, pool_, ids, {72}), 512);
    std::printf("%s: mean KL %.2g\n", c.type, kl);
    EXPECT_LE(kl, c.max_kl) << c.type;
    EXPECT_GT(kl, 0) << c.type << " has no effect";
  }
  const auto source = format::ModelSource::Open(FamilyFolder("llama") + "/model.gguf");
  const auto refused = Model::Load(**source, pool_, {.kv_type = "q4_9"});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("q4_9"), std::string::npos);
}

TEST_F(ForwardTest, ADecodedTokenAllocatesNothing) {
  for (const std::string& family : FamilyNames()) {
    Load(family);
    sequence_->Announce(120);
    const std::vector<int32_t> ids = SomeIds(120);
    ASSERT_TRUE(Run(std::span(ids).first(20), 1));
    const int64_t before = g_n_allocations.load();
    for (size_t i = 20; i < 120; ++i) {
      const StepPart part{sequence_.get(), std::span(ids).subspan(i, 1), 1};
      ASSERT_TRUE(model_->Forward(pool_, {&part, 1}, logits_.data(), nullptr)) << family;
    }
    EXPECT_EQ(g_n_allocations.load() - before, 0) << family;
  }
}

TEST_F(ForwardTest, StepsOfManyRowsAreCutWithoutATrace) {
  Load("llama31");  // Context 512 in two parts that cross the limit of rows computed at once.
  const std::vector<int32_t> ids = SomeIds(400);
  auto other = std::move(*model_->NewSequence());
  const StepPart parts[] = {{sequence_.get(), ids, 400}, {other.get(), ids, 300}};
  std::vector<float> logits(700 * 512);
  ASSERT_TRUE(model_->Forward(pool_, parts, logits.data(), nullptr));
  const std::vector<float> want = Logits(*model_, pool_, ids, {16});
  EXPECT_TRUE(std::equal(want.begin(), want.end(), logits.begin()));
  EXPECT_TRUE(std::equal(want.end() - 300 * 512, want.end(), logits.begin() + 400 * 512));
}

}  // namespace
}  // namespace lamina::model::test
