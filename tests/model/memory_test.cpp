// Too little memory: a model that is too large is refused before anything is allocated, and an
// allocation that fails anywhere between opening a model and a step ends in an error, without a
// leak.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "format/gguf_writer.h"
#include "support.h"
#include "tests/format/counting_new.h"
#include "tests/support/paths.h"

namespace lamina::model::test {
namespace {

// A field of /proc/self/status in bytes: "VmPeak" (addresses), "VmHWM" (resident).
int64_t ProcessBytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string word;
  int64_t kib = 0;
  while (status >> word) {
    if (word == field + ":" && status >> kib) break;
  }
  return kib * 1024;
}

// A Llama of 7 billion F16 weights whose file is a hole.
std::string WriteSparseLlama() {
  constexpr int64_t kWidth = 4096, kHidden = 11008, kVocab = 32000, kLayers = 32;
  format::GgufWriter writer;
  const auto number = [&](const std::string& key, uint64_t value) {
    writer.Set("llama." + key, value);
  };
  writer.Set("general.architecture", std::string("llama"));
  number("block_count", kLayers);
  number("context_length", 1 << 17);
  number("embedding_length", kWidth);
  number("feed_forward_length", kHidden);
  number("attention.head_count", 32);
  writer.Set("llama.attention.layer_norm_rms_epsilon", 1e-5);
  int64_t n_bytes = 0;
  const auto matrix = [&](const std::string& name, int64_t n_rows, int64_t n_cols) {
    writer.AddTensor(name + ".weight", *quant::FindType("F16"), {n_rows, n_cols});
    n_bytes += 2 * n_rows * n_cols;
  };
  const auto gains = [&](const std::string& name) {
    writer.AddTensor(name + ".weight", *quant::FindType("F32"), {kWidth});
    n_bytes += 4 * kWidth;
  };
  matrix("token_embd", kVocab, kWidth);
  gains("output_norm");
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    gains(layer + "attn_norm");
    gains(layer + "ffn_norm");
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
      matrix(layer + name, kWidth, kWidth);
    }
    matrix(layer + "ffn_gate", kHidden, kWidth);
    matrix(layer + "ffn_up", kHidden, kWidth);
    matrix(layer + "ffn_down", kWidth, kHidden);
  }
  const std::string header = *writer.Header();
  const std::string path =
      std::filesystem::temp_directory_path() / fmt::format("lamina_sparse_{}.gguf", getpid());
  std::ofstream(path, std::ios::binary) << header;
  std::filesystem::resize_file(path, header.size() + static_cast<uint64_t>(n_bytes));
  return path;
}

TEST(Memory, AModelThatIsTooLargeIsRefusedBeforeAnythingIsAllocated) {
  const std::string path = WriteSparseLlama();
  const auto source = format::ModelSource::Open(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(source) << source.error().message();
  ThreadPool pool(1);
  const int64_t addresses = ProcessBytes("VmPeak"), resident = ProcessBytes("VmHWM");
  const auto model =
      Model::Load(**source, pool, {.context = 8192, .memory_limit_bytes = uint64_t{6} << 30});
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code(), Code::kResourceExhausted);
  const std::string& message = model.error().message();
  for (const char* word : {"weights 12604 MiB", "a context of 8192 tokens 4096 MiB", "has ",
                           "use a smaller model or a smaller context"}) {
    EXPECT_NE(message.find(word), std::string::npos) << message;
  }
  constexpr int64_t kLittle = 8 << 20;
  EXPECT_LE(ProcessBytes("VmPeak"), addresses + kLittle);
  EXPECT_LE(ProcessBytes("VmHWM"), resident + kLittle);
}

TEST(Memory, ASmallLimitIsNamed) {
  const auto source = format::ModelSource::Open(FamilyFolder("llama") + "/model.gguf");
  ASSERT_TRUE(source);
  ThreadPool pool(1);
  const auto need = EstimateMemory(**source, {});
  ASSERT_TRUE(need);
  const auto model = Model::Load(**source, pool, {.memory_limit_bytes = 1 << 20});
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message().find("but the memory limit has 1 MiB"), std::string::npos)
      << model.error().message();
  EXPECT_TRUE(Model::Load(**source, pool, {.memory_limit_bytes = 2 * need->total()}));
}

// From a path to the logits of two steps.
Result<> RunAll(const std::string& path, ThreadPool& pool, const std::vector<int32_t>& ids,
                std::vector<float>* logits) {
  const auto source = TRY(format::ModelSource::Open(path));
  const auto model = TRY(Model::Load(*source, pool, {.context = 64}));
  const auto sequence = TRY(model->NewSequence());
  const StepPart prompt{sequence.get(), std::span(ids).first(5), 1};
  TRY(model->Forward(pool, {&prompt, 1}, logits->data(), nullptr));
  const StepPart next{sequence.get(), std::span(ids).subspan(5, 1), 1};
  return model->Forward(pool, {&next, 1}, logits->data(), nullptr);
}

class FailingMemory : public testing::TestWithParam<std::string> {};

TEST_P(FailingMemory, EveryAllocationMayFail) {
  ThreadPool pool(1);
  const std::string path = FamilyFolder(GetParam().substr(0, GetParam().find('/'))) +
                           GetParam().substr(GetParam().find('/'));
  const std::vector<int32_t> ids = {5, 9, 3, 200, 17, 4};
  std::vector<float> logits(512), expected(512);
  ASSERT_TRUE(RunAll(path, pool, ids, &expected));
  int64_t n_failed = 0;
  for (int64_t k = 0;; k += k < 200 ? 1 : 7) {
    bool failed = false;
    for (const bool forever : {false, true}) {
      const int64_t before = format::CurrentBytes();
      format::FailAllocation(k, forever);
      auto result = RunAll(path, pool, ids, &logits);
      failed = format::StopFailing();
      if (!failed) break;
      ASSERT_FALSE(result && logits != expected) << "allocation " << k;
      if (!result) {
        EXPECT_EQ(result.error().code(), Code::kResourceExhausted) << result.error().message();
        ++n_failed;
      }
      result = {};
      // What the error said and what libraries keep for good is small; a leak repeats itself.
      EXPECT_LE(format::CurrentBytes(), before + 1024) << "allocation " << k;
    }
    if (!failed) break;
  }
  EXPECT_GT(n_failed, 200);
  ASSERT_TRUE(RunAll(path, pool, ids, &logits));
  EXPECT_EQ(logits, expected);
}

// GGUF alone: values of the JSON library that reads config.json allocate when they are destroyed,
// where nobody can catch it.
INSTANTIATE_TEST_SUITE_P(Models, FailingMemory,
                         testing::Values("llama/model.gguf", "qwen35/model.gguf",
                                         "mixtral/model.gguf", "gemma4/model.gguf"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '/' || c == '.' ? '_' : c;
                           return name;
                         });

// No addresses left: what is mapped (weights, buffers, pages) fails cleanly too.
TEST(Memory, MappingsMayFail) {
  ThreadPool pool(1);
  const std::string path = FamilyFolder("gemma4") + "/model.gguf";
  const std::vector<int32_t> ids = {5, 9, 3, 200, 17, 4};
  std::vector<float> logits(512), expected(512);
  ASSERT_TRUE(RunAll(path, pool, ids, &expected));
  rlimit old;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &old), 0);
  int n_failed = 0;
  bool ran = false;
  for (int64_t room = 0; room <= 64 << 20 && !ran; room += 512 << 10) {
    const rlimit limit{static_cast<rlim_t>(ProcessBytes("VmSize") + room), old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    auto result = RunAll(path, pool, ids, &logits);
    ASSERT_EQ(setrlimit(RLIMIT_AS, &old), 0);
    ran = static_cast<bool>(result);
    if (ran) continue;
    ++n_failed;
    EXPECT_EQ(result.error().code(), Code::kResourceExhausted) << result.error().message();
  }
  EXPECT_TRUE(ran);
  EXPECT_GE(n_failed, 3);
  EXPECT_EQ(logits, expected);
}

}  // namespace
}  // namespace lamina::model::test
