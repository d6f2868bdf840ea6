// Integer kernels in whole models: every family and type against f32 arithmetic on the same
// weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "support.h"
#include "tests/support/paths.h"

namespace lamina::model::test {
namespace {

constexpr double kMaxKl = 0.02;

// Pairs of models that were made by hand, instead of those of tests/data.
const char* OtherModels() { return std::getenv("LAMINA_TEST_QUANTIZED"); }

std::string Folder() {
  return OtherModels() ? OtherModels() : checkout::BinaryFolder() + "/test_data/quantized";
}

// Models made once by the script; nothing is written where they are newer than it.
bool MakeModels() {
  if (OtherModels()) return true;
  const std::string command = std::string("python3 ") + checkout::SourceFolder() +
                              "/tests/oracles/quantize_models.py " + checkout::BinaryFolder() +
                              "/test_data/families " + Folder();
  return std::system(command.c_str()) == 0;
}

std::vector<std::string> ModelNames() {
  std::vector<std::string> names;
  if (OtherModels()) {
    constexpr std::string_view kPair = ".f32.gguf";
    for (const auto& entry : std::filesystem::directory_iterator(Folder())) {
      const std::string name = entry.path().filename();
      if (name.ends_with(kPair)) names.push_back(name.substr(0, name.size() - kPair.size()));
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  for (const std::string& family : FamilyNames()) {
    for (const char* type : {"Q8_0", "Q4_0", "Q4_1"}) names.push_back(family + "." + type);
  }
  for (const char* type : {"F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K",
                           "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"}) {
    names.push_back(std::string("wide.") + type);
  }
  return names;
}

class Quantized : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    static const bool made = MakeModels();
    ASSERT_TRUE(made) << "tests/oracles/quantize_models.py failed: install tests/requirements.txt";
  }
};

std::vector<int32_t> SomeIds(int64_t n_vocab) {
  std::vector<int32_t> ids(72);
  uint32_t state = 12345;
  for (int32_t& id : ids) {
    state = state * 1664525 + 1013904223;
    id = static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(n_vocab));
  }
  return ids;
}

TEST_P(Quantized, AgreesWithF32OnTheSameWeights) {
  ThreadPool pool(2);
  const LoadOptions f32{.kv_type = "f32"};
  const auto model = LoadModel(Folder() + "/" + GetParam() + ".gguf", pool, f32);
  const auto reference = LoadModel(Folder() + "/" + GetParam() + ".f32.gguf", pool, f32);
  const int64_t n_vocab = model->spec().n_vocab;
  const std::vector<int32_t> ids = SomeIds(n_vocab);
  const std::vector<float> logits = Logits(*model, pool, ids, {72});
  const double kl = MeanKl(Logits(*reference, pool, ids, {72}), logits, n_vocab);
  std::printf("%s: mean KL %.2g\n", GetParam().c_str(), kl);
  EXPECT_LE(kl, kMaxKl);
  // 1 to 16 rows per step give the same bits: scratch, tiles and rounding follow the row.
  const std::vector<float> by_sixteen = Logits(*model, pool, ids, {16});
  EXPECT_LE(MeanKl(logits, by_sixteen, n_vocab), 1e-6);
  for (const int64_t n_rows : {1, 5}) {
    EXPECT_EQ(by_sixteen, Logits(*model, pool, ids, {n_rows})) << n_rows << " rows per step";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Quantized, testing::ValuesIn(ModelNames()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
});

}  // namespace
}  // namespace lamina::model::test
