// The two real models against their float truth, in prefill and token by token, on every ISA.
#include <gtest/gtest.h>

#include "kernels/dispatch.h"
#include "support.h"

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
  const auto truth = ReadValues(std::string(LAMINA_SOURCE_DIR "/tests/data/real/") + real.truth);
  const std::vector<int32_t> ids = truth.at("input_ids").AsIds();
  const std::string path = RealModel(real.model);
  if (path.empty()) return;
  ThreadPool pool(DefaultThreadCount());
  for (const kernels::Table* table : kernels::Available()) {
    const auto model = LoadModel(path, pool, {.kernels = table});
    // Token by token takes minutes on the scalar reference; its bits equal the others'.
    const bool is_scalar = std::string_view(table->isa) == "scalar";
    for (const int64_t chunk : {int64_t{512}, int64_t{1}}) {
      if (is_scalar && chunk == 1) continue;
      const std::vector<float> logits = Logits(*model, pool, ids, {chunk});
      const double kl = MeanKlFromTruth(truth, logits, model->spec().n_vocab);
      std::printf("%s %s %s: mean KL %.5f\n", real.model, table->isa,
                  chunk == 1 ? "token by token" : "prefill", kl);
      EXPECT_LE(kl, real.max_kl) << table->isa << ", chunks of " << chunk;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(RealModels, Fidelity, testing::ValuesIn(kCases), [](const auto& info) {
  const std::string name = info.param.model;
  return name.substr(0, name.find('.'));
});

}  // namespace
}  // namespace lamina::model::test
