// The two real models against their float truth, in prefill and token by token, on every ISA.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/dispatch.h"
#include "support.h"
#include "tests/support/paths.h"

#ifdef LAMINA_ROUNDED_ATTENTION
namespace lamina::kernels {
extern const Table kRounded;  ///< tests/kernels/emulated: bf16 attention on AVX2, no products.
}
#endif

namespace lamina::model::test {
namespace {

struct RealCase {
  const char* model;
  const char* truth;
  double max_kl;
};
constexpr RealCase kCases[] = {
    {"smollm2.gguf", "smollm2-135m-q4_1.pub.safetensors", 0.0034},
    {"gemma3.gguf", "gemma3-270m-q4_k_m.pub.safetensors", 0.0026},
};

class Fidelity : public testing::TestWithParam<RealCase> {};

TEST_P(Fidelity, MeanKlOnEveryIsa) {
  const RealCase& real = GetParam();
  const auto truth = ReadValues(checkout::SourceFolder() + "/tests/data/real/" + real.truth);
  const std::vector<int32_t> ids = truth.at("input_ids").AsIds();
  const std::string path = RealModel(real.model);
  if (path.empty()) return;
  ThreadPool pool(DefaultThreadCount());
  std::vector<float> best;  // Of the best ISA, token by token: prefill may round its attention.
  for (const kernels::Table* table : kernels::Available()) {
    const auto model = LoadModel(path, pool, {.kernels = table});
    const int64_t n_vocab = model->spec().n_vocab;
    if (!best.empty() && std::string_view(table->isa) == "scalar") {
      // The scalar reference takes minutes for the whole text; equal bits have an equal KL.
      const std::vector<int32_t> first(ids.begin(), ids.begin() + 40);
      const std::vector<float> logits = Logits(*model, pool, first, {32, 1});
      EXPECT_TRUE(std::equal(logits.begin(), logits.end(), best.begin())) << "scalar";
      continue;
    }
    for (const int64_t chunk : {int64_t{512}, int64_t{1}}) {
      std::vector<float> logits = Logits(*model, pool, ids, {chunk});
      const double kl = MeanKlFromTruth(truth, logits, n_vocab);
      std::printf("%s %s %s: mean KL %.5f\n", real.model, table->isa,
                  chunk == 1 ? "token by token" : "prefill", kl);
      EXPECT_LE(kl, real.max_kl) << table->isa << ", chunks of " << chunk;
      if (best.empty() && chunk == 1) best = std::move(logits);
    }
  }
}

#ifdef LAMINA_ROUNDED_ATTENTION
// What CPUs with products of bf16 compute in prefill, whatever this one has.
TEST_P(Fidelity, MeanKlOfRoundedAttention) {
  const RealCase& real = GetParam();
  const auto truth = ReadValues(checkout::SourceFolder() + "/tests/data/real/" + real.truth);
  const std::string path = RealModel(real.model);
  const auto avx2 = kernels::Select("avx2");
  if (path.empty() || !avx2) return;
  kernels::Table table = **avx2;
  table.attention = kernels::kRounded.attention;
  ThreadPool pool(DefaultThreadCount());
  const auto model = LoadModel(path, pool, {.kernels = &table});
  const auto logits = Logits(*model, pool, truth.at("input_ids").AsIds(), {512});
  const double kl = MeanKlFromTruth(truth, logits, model->spec().n_vocab);
  std::printf("%s bf16 attention: mean KL %.5f\n", real.model, kl);
  EXPECT_LE(kl, real.max_kl);
}
#endif

INSTANTIATE_TEST_SUITE_P(RealModels, Fidelity, testing::ValuesIn(kCases), [](const auto& info) {
  const std::string name = info.param.model;
  return name.substr(0, name.find('.'));
});

}  // namespace
}  // namespace lamina::model::test
