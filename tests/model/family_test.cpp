// Every family's tiny model against the reference's logits, from GGUF and from Hugging Face files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "support.h"

namespace lamina::model::test {
namespace {

constexpr double kTolerance = 1e-3;

struct Case {
  std::string family;
  std::string file;  ///< "model.gguf" or "hf".
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.family << "/" << c.file; }

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const std::string& family : FamilyNames()) {
    for (const char* file : {"model.gguf", "hf"}) {
      if (std::filesystem::exists(FamilyFolder(family) + "/" + file))
        cases.push_back({family, file});
    }
  }
  return cases;
}

class Family : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    folder_ = FamilyFolder(GetParam().family);
    expected_ = ReadValues(folder_ + "/expected.safetensors");
    ids_ = expected_.at("input_ids").AsIds();
  }

  std::shared_ptr<const Model> Load(ThreadPool& pool) const {
    return LoadModel(folder_ + "/" + GetParam().file, pool);
  }

  std::string folder_;
  std::map<std::string, Values> expected_;
  std::vector<int32_t> ids_;
};

TEST_P(Family, LogitsInAnyChunks) {
  ThreadPool pool(2);
  const auto model = Load(pool);
  ASSERT_EQ(std::string(model->kv_type()), "f32");
  const std::vector<int64_t> chunkings[] = {{72}, {1}, {5, 17, 1, 3, 30, 2, 16}};
  for (const auto& chunks : chunkings) {
    const double difference =
        MaxDifference(Logits(*model, pool, ids_, chunks), expected_.at("logits").values);
    std::printf("%s %s: max difference %.2g\n", GetParam().family.c_str(),
                chunks.size() > 1 ? "uneven chunks"
                : chunks[0] == 1  ? "token by token"
                                  : "one piece",
                difference);
    EXPECT_LE(difference, kTolerance) << "first chunk of " << chunks[0];
  }
}

TEST_P(Family, GreedyContinuation) {
  ThreadPool pool(2);
  const auto model = Load(pool);
  const std::vector<int32_t> greedy = expected_.at("greedy").AsIds();
  std::vector<int32_t> ids(ids_.begin(), ids_.begin() + 24);
  auto sequence = model->NewSequence();
  ASSERT_TRUE(sequence);
  std::vector<float> logits(static_cast<size_t>(model->spec().n_vocab));
  size_t n_done = 0;
  for (const int32_t want : greedy) {
    if ((*sequence)->Announce(static_cast<int64_t>(ids.size()))) n_done = 0;
    const StepPart part{sequence->get(), std::span(ids).subspan(n_done), 1};
    const auto result = model->Forward(pool, {&part, 1}, logits.data(), nullptr);
    ASSERT_TRUE(result) << result.error().message();
    n_done = ids.size();
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    ASSERT_EQ(best, want) << "at position " << ids.size();
    ids.push_back(want);
  }
}

TEST_P(Family, BitsDoNotDependOnThreads) {
  ThreadPool one(1), two(2), three(3);
  const auto model = Load(one);
  for (const int64_t chunk : {72, 7, 1}) {
    const std::vector<float> want = Logits(*model, one, ids_, {chunk});
    EXPECT_EQ(want, Logits(*model, two, ids_, {chunk})) << "chunks of " << chunk;
    EXPECT_EQ(want, Logits(*model, three, ids_, {chunk})) << "chunks of " << chunk;
  }
}

// Three sequences that share steps of unequal parts give what each gives alone: parts of up to 16
// rows have the same bits always.
TEST_P(Family, JoinedSequencesGiveTheSameBits) {
  ThreadPool pool(2);
  const auto model = Load(pool);
  const int64_t n_vocab = model->spec().n_vocab;
  const std::vector<std::vector<int32_t>> texts = {{ids_.begin(), ids_.begin() + 30},
                                                   {ids_.begin() + 20, ids_.begin() + 50},
                                                   {ids_.begin() + 42, ids_.begin() + 72}};
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<std::vector<float>> joined(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    sequences.push_back(std::move(*model->NewSequence()));
    joined[i].resize(30 * static_cast<size_t>(n_vocab));
  }
  const int64_t sizes[][3] = {{10, 3, 0}, {1, 7, 16}, {1, 1, 1}, {16, 16, 13}, {2, 3, 0}};
  std::vector<int64_t> done(texts.size(), 0);
  for (const auto& size : sizes) {
    std::vector<StepPart> parts;
    std::vector<size_t> owners;
    int64_t n_rows = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (size[i] == 0) continue;
      parts.push_back(
          {sequences[i].get(),
           std::span(texts[i]).subspan(static_cast<size_t>(done[i]), static_cast<size_t>(size[i])),
           size[i]});
      owners.push_back(i);
      n_rows += size[i];
    }
    std::vector<float> logits(static_cast<size_t>(n_rows * n_vocab));
    ASSERT_TRUE(model->Forward(pool, parts, logits.data(), nullptr));
    auto from = logits.begin();
    for (const size_t i : owners) {
      const int64_t n = size[i] * n_vocab;
      std::copy_n(from, n, joined[i].begin() + done[i] * n_vocab);
      from += n;
      done[i] += size[i];
    }
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(joined[i], Logits(*model, pool, texts[i], {16})) << "sequence " << i;
  }
}

// Rows without logits are left out where nobody reads them; the others must not notice.
TEST_P(Family, LogitsOfTheLastRowsAloneHaveTheSameBits) {
  ThreadPool pool(2);
  const auto model = Load(pool);
  const int64_t n_vocab = model->spec().n_vocab;
  const std::vector<float> all = Logits(*model, pool, ids_, {72});
  for (const int64_t n_logits : {0, 1, 4, 20}) {
    auto sequence = model->NewSequence();
    ASSERT_TRUE(sequence);
    (*sequence)->Announce(72);
    std::vector<float> logits(static_cast<size_t>((n_logits + 1) * n_vocab));
    const StepPart first{sequence->get(), std::span(ids_).first(71), n_logits};
    ASSERT_TRUE(model->Forward(pool, {&first, 1}, logits.data(), nullptr));
    const StepPart last{sequence->get(), std::span(ids_).last(1), 1};
    ASSERT_TRUE(model->Forward(pool, {&last, 1}, &logits[n_logits * n_vocab], nullptr));
    EXPECT_TRUE(
        std::equal(logits.begin(), logits.end(), all.end() - static_cast<int64_t>(logits.size())))
        << n_logits;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Family, testing::ValuesIn(Cases()), [](const auto& info) {
  std::string name = info.param.family + (info.param.file == "hf" ? "_hf" : "_gguf");
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace lamina::model::test
