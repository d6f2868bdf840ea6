#include "support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/file.h"
#include "tests/support/paths.h"

namespace lamina::model::test {
namespace {

template <class T>
std::vector<double> Decode(const char* data, size_t n_bytes) {
  std::vector<double> out(n_bytes / sizeof(T));
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    out[i] = static_cast<double>(value);
  }
  return out;
}

// log softmax of one row, in double.
std::vector<double> LogSoftmax(const float* logits, int64_t n) {
  const double top = *std::max_element(logits, logits + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(logits[i] - top);
  const double shift = top + std::log(sum);
  std::vector<double> out(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) out[i] = logits[i] - shift;
  return out;
}

// Models that tests/oracles/random_family.py made, instead of those of tests/data.
const char* OtherFamilies() { return std::getenv("LAMINA_TEST_FAMILIES"); }

}  // namespace

std::map<std::string, Values> ReadValues(const std::string& path) {
  auto file = ReadFile(path, uint64_t{1} << 30);
  if (!file) throw std::runtime_error(file.error().message());
  uint64_t header_bytes;
  std::memcpy(&header_bytes, file->data(), 8);
  const auto header = nlohmann::json::parse(file->substr(8, header_bytes));
  std::map<std::string, Values> out;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const size_t begin = 8 + header_bytes + entry["data_offsets"][0].get<size_t>();
    const size_t end = 8 + header_bytes + entry["data_offsets"][1].get<size_t>();
    Values& values = out[name];
    values.shape = entry["shape"].get<std::vector<int64_t>>();
    const std::string type = entry["dtype"];
    const char* data = file->data() + begin;
    values.values = type == "F32"   ? Decode<float>(data, end - begin)
                    : type == "I64" ? Decode<int64_t>(data, end - begin)
                                    : Decode<int32_t>(data, end - begin);
  }
  return out;
}

std::vector<std::string> FamilyNames() {
  std::vector<std::string> names;
  const std::string archives = checkout::SourceFolder() + "/tests/data/families";
  for (const auto& entry :
       std::filesystem::directory_iterator(OtherFamilies() ? OtherFamilies() : archives)) {
    const std::string name = entry.path().filename();
    if (OtherFamilies()) {
      names.push_back(name);
    } else if (name.ends_with(".tar.xz")) {
      names.push_back(name.substr(0, name.size() - 7));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string FamilyFolder(const std::string& name) {
  if (OtherFamilies()) return OtherFamilies() + ("/" + name);
  return checkout::BinaryFolder() + "/test_data/families/" + name;
}

std::string RealModel(const std::string& file_name) {
  const std::string path = checkout::ModelPath(file_name);
  if (std::filesystem::exists(path)) return path;
  ADD_FAILURE() << path << " does not exist: run `make models`";
  return "";
}

std::shared_ptr<const Model> LoadModel(const std::string& path, ThreadPool& pool,
                                       const LoadOptions& options) {
  auto source = format::ModelSource::Open(path);
  if (!source) throw std::runtime_error(source.error().message());
  auto model = Model::Load(**source, pool, options);
  if (!model) throw std::runtime_error(model.error().message());
  return *model;
}

std::vector<float> Logits(const Model& model, ThreadPool& pool, const std::vector<int32_t>& ids,
                          const std::vector<int64_t>& chunks) {
  const int64_t n_vocab = model.spec().n_vocab;
  const auto n_ids = static_cast<int64_t>(ids.size());
  std::vector<float> logits(static_cast<size_t>(n_ids * n_vocab));
  auto sequence = model.NewSequence();
  if (!sequence) throw std::runtime_error(sequence.error().message());
  (*sequence)->Announce(n_ids);
  size_t chunk = 0;
  for (int64_t begin = 0; begin < n_ids; chunk = std::min(chunk + 1, chunks.size() - 1)) {
    const int64_t n = std::min(chunks[chunk], n_ids - begin);
    const StepPart part{sequence->get(),
                        std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(n)),
                        n};
    auto result = model.Forward(pool, {&part, 1}, &logits[begin * n_vocab], nullptr);
    if (!result) throw std::runtime_error(result.error().message());
    begin += n;
  }
  return logits;
}

double MaxDifference(const std::vector<float>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double max = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    max = std::max(max, difference);
  }
  return max;
}

double MeanKl(const std::vector<float>& p, const std::vector<float>& q, int64_t n_vocab) {
  const auto n_rows = static_cast<int64_t>(p.size()) / n_vocab;
  double sum = 0;
  for (int64_t row = 0; row < n_rows; ++row) {
    const auto log_p = LogSoftmax(&p[row * n_vocab], n_vocab);
    const auto log_q = LogSoftmax(&q[row * n_vocab], n_vocab);
    for (int64_t i = 0; i < n_vocab; ++i) sum += std::exp(log_p[i]) * (log_p[i] - log_q[i]);
  }
  return sum / static_cast<double>(n_rows);
}

double MeanKlFromTruth(const std::map<std::string, Values>& truth, const std::vector<float>& logits,
                       int64_t n_vocab) {
  const Values& ids = truth.at("top_ids");
  const Values& log_probabilities = truth.at("top_logprobs");
  const int64_t n_rows = ids.shape[0], n_top = ids.shape[1];
  double sum = 0;
  for (int64_t row = 0; row < n_rows; ++row) {
    const auto log_q = LogSoftmax(&logits[row * n_vocab], n_vocab);
    double rest_p = 1, rest_q = 1;
    for (int64_t i = row * n_top; i < (row + 1) * n_top; ++i) {
      const double log_p = log_probabilities.values[i];
      const double q = log_q[static_cast<size_t>(ids.values[i])];
      sum += std::exp(log_p) * (log_p - q);
      rest_p -= std::exp(log_p);
      rest_q -= std::exp(q);
    }
    rest_p = std::clamp(rest_p, 1e-9, 1.0);
    rest_q = std::clamp(rest_q, 1e-9, 1.0);
    sum += rest_p * std::log(rest_p / rest_q);
  }
  return sum / static_cast<double>(n_rows);
}

}  // namespace lamina::model::test
