// What the model tests share: test data, models by path, logits by chunks, KL divergence.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "format/model_source.h"
#include "model/model.h"

namespace lamina::model::test {

/// A tensor of a safetensors file; values as doubles hold i64 ids and f32 logits exactly.
struct Values {
  std::vector<int64_t> shape;
  std::vector<double> values;

  std::vector<int32_t> AsIds() const { return {values.begin(), values.end()}; }
};

/// Every F32, I32 and I64 tensor of a file; aborts the test program where it cannot be read.
std::map<std::string, Values> ReadValues(const std::string& path);

/// The families of tests/data, and the folder of one.
std::vector<std::string> FamilyNames();
std::string FamilyFolder(const std::string& name);

/// Path of a real model: in $LAMINA_TEST_MODELS, else in build/models. Fails the test with what to
/// do where it is absent (the path is then empty).
std::string RealModel(const std::string& file_name);

/// A model; throws std::runtime_error with the status where it does not load.
std::shared_ptr<const Model> LoadModel(const std::string& path, ThreadPool& pool,
                                       const LoadOptions& options = {});

/// Logits [n, n_vocab] of all ids in one sequence, given in chunks of these sizes (the last size is
/// repeated).
std::vector<float> Logits(const Model& model, ThreadPool& pool, const std::vector<int32_t>& ids,
                          const std::vector<int64_t>& chunks);

/// Largest |a - b|; infinite where one is not a number.
double MaxDifference(const std::vector<float>& a, const std::vector<double>& b);

/// Mean over rows of KL(p || q) of softmaxed logits [n, n_vocab].
double MeanKl(const std::vector<float>& p, const std::vector<float>& q, int64_t n_vocab);

/// Mean KL from a float truth with the top 64 log-probabilities of each position; the rest counts
/// as one bucket.
double MeanKlFromTruth(const std::map<std::string, Values>& truth, const std::vector<float>& logits,
                       int64_t n_vocab);

}  // namespace lamina::model::test
