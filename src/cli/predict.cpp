#include "cli/predict.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels/dispatch.h"
#include "quant/type.h"
#include "tensor/linear.h"

namespace lamina::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kPrefillCols = 2048;
constexpr int64_t kPrefillRows = 64;
constexpr int64_t kCacheBytes = 1 << 20;
constexpr int64_t kMostBytes = 512 << 20;  // Of weights in memory while one shape is measured.
constexpr int kTokens = 16;  // Timed together: as an answer is, with what disturbs it.
constexpr double kProbeSeconds = 0.3;
constexpr int kLeastPasses = 3;

constexpr int kPhasesPerLayer = 6;  // Barriers of a layer, as in model/.
// Norms, rotary embedding, attention over a short context, activation: no weights, but work.
// Fitted to SmolLM2-135M and Gemma-3-270M.
constexpr double kLayerSeconds = 45e-6;

double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

class Memory {
 public:
  explicit Memory(int64_t n_bytes)
      : n_bytes_(static_cast<size_t>(n_bytes)),
        data_(mmap(nullptr, n_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (data_ != MAP_FAILED) madvise(data_, n_bytes_, MADV_HUGEPAGE);
  }
  ~Memory() {
    if (data_ != MAP_FAILED) munmap(data_, n_bytes_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  uint8_t* data() const { return data_ == MAP_FAILED ? nullptr : static_cast<uint8_t*>(data_); }

 private:
  size_t n_bytes_;
  void* data_;
};

// Weights of zeros, which are as fast as others, with inputs and space for results.
class Products {
 public:
  Products(const kernels::Table& table, ThreadPool& pool, std::string_view type_name,
           int64_t n_bytes, int64_t n_cols, int64_t n_rows)
      : table_(table),
        pool_(pool),
        type_(quant::FindType(type_name)),
        n_cols_(n_cols),
        panel_bytes_(type_->panel_bytes(n_cols)),
        n_panels_(std::max<int64_t>(1, n_bytes / panel_bytes_)),
        scratch_bytes_(kernels::ScratchBytes(n_cols)),
        weights_(n_panels_ * panel_bytes_),
        inputs_(tensor::QuantizedBytes(n_cols, n_rows)),
        scratch_(pool.n_threads() * scratch_bytes_),
        results_(n_rows * n_panels_ * quant::kPanelRows * 4) {
    if (!valid()) return;
    input_.n_rows = n_rows;
    input_.quantized = {reinterpret_cast<kernels::ActBlock*>(inputs_.data()), n_cols, n_rows};
    const std::vector<float> row(static_cast<size_t>(n_cols), 1.0f);
    for (int64_t i = 0; i < n_rows; ++i) {
      tensor::QuantizeRow(table, row.data(), input_.quantized, i);
    }
    // Untouched pages would all be the one page of zeros.
    pool.Run([&](int thread) {
      const Range range = SplitRange(n_panels_, thread, pool_.n_threads());
      std::memset(weights_.data() + range.begin * panel_bytes_, 0,
                  static_cast<size_t>((range.end - range.begin) * panel_bytes_));
    });
  }

  bool valid() const {
    return weights_.data() && inputs_.data() && scratch_.data() && results_.data();
  }
  int64_t n_panels() const { return n_panels_; }
  int64_t n_weights() const { return n_panels_ * quant::kPanelRows * n_cols_; }

  // One thread's part of the product with the panels of `phase` of `n_phases`.
  void Multiply(int thread, int64_t phase, int64_t n_phases) const {
    const int64_t begin = n_panels_ * phase / n_phases;
    const int64_t n = n_panels_ * (phase + 1) / n_phases - begin;
    if (n == 0) return;
    tensor::Matrix matrix;
    matrix.type = type_;
    matrix.n_cols = n_cols_;
    matrix.n_rows = n * quant::kPanelRows;
    matrix.panel_bytes = panel_bytes_;
    matrix.panels = weights_.data() + begin * panel_bytes_;
    const Range range = SplitRange(n, thread, pool_.n_threads());
    tensor::Matmul(table_, matrix, input_, range.begin, range.end,
                   reinterpret_cast<float*>(results_.data()), matrix.y_stride(), false,
                   scratch_.data() + thread * scratch_bytes_);
  }

 private:
  const kernels::Table& table_;
  ThreadPool& pool_;
  const quant::TypeInfo* type_;
  int64_t n_cols_, panel_bytes_, n_panels_, scratch_bytes_;
  Memory weights_, inputs_, scratch_, results_;
  tensor::Inputs input_;
};

Status NoMemory() { return {Code::kResourceExhausted, "no memory to measure the kernels in"}; }

// The best time of one call of `pass`, repeated for a while.
template <class Pass>
double BestSeconds(Pass pass) {
  pass();
  double best = 1e9, total = 0;
  for (int i = 0; i < kLeastPasses || total < kProbeSeconds; ++i) {
    const auto start = Clock::now();
    pass();
    const double seconds = Seconds(start);
    total += seconds;
    best = std::min(best, seconds);
  }
  return best;
}

}  // namespace

Result<double> MeasureInt8Gops(const kernels::Table& table, ThreadPool& pool) {
  const Products products(table, pool, "Q8_0", kCacheBytes * pool.n_threads(), kPrefillCols,
                          kPrefillRows);
  if (!products.valid()) return Error(NoMemory());
  const double seconds =
      BestSeconds([&] { pool.Run([&](int thread) { products.Multiply(thread, 0, 1); }); });
  return 2.0 * kPrefillRows * static_cast<double>(products.n_weights()) / seconds / 1e9;
}

Result<double> PredictTokensPerSecond(const kernels::Table& table, ThreadPool& pool,
                                      const DecodeShape& shape) {
  const int64_t n_cols = (shape.d_model + 31) / 32 * 32;
  const auto one_layer = static_cast<int64_t>(shape.layer_bytes) / shape.n_layers;
  const int n_measured = static_cast<int>(
      std::clamp<int64_t>(kMostBytes / std::max<int64_t>(one_layer, 1), 1, shape.n_layers));
  const int64_t head_bytes = std::min(static_cast<int64_t>(shape.head_bytes), kMostBytes);
  const double head_factor =
      static_cast<double>(shape.head_bytes) / static_cast<double>(head_bytes);
  const Products layers(table, pool, shape.layer_type, one_layer * n_measured, n_cols, 1);
  const Products head(table, pool, shape.head_type, head_bytes, n_cols, 1);
  if (!layers.valid() || !head.valid()) return Error(NoMemory());

  const int64_t n_phases = int64_t{kPhasesPerLayer} * n_measured;
  double head_seconds = 0, best = 1e9;
  BestSeconds([&] {
    double head_total = 0;
    const auto start = Clock::now();
    for (int token = 0; token < kTokens; ++token) {
      pool.Run([&](int thread) {
        for (int64_t phase = 0; phase < n_phases; ++phase) {
          layers.Multiply(thread, phase, n_phases);
          pool.Barrier(thread);
        }
        const auto head_start = Clock::now();
        head.Multiply(thread, 0, 1);
        pool.Barrier(thread);
        if (thread == 0) head_total += Seconds(head_start);
      });
    }
    const double seconds = Seconds(start);
    if (seconds >= best) return;
    best = seconds;
    head_seconds = head_total / kTokens;
  });
  const double layer_seconds =
      std::max(best / kTokens - head_seconds, 0.0) / n_measured + kLayerSeconds;
  return 1 / (layer_seconds * shape.n_layers + head_seconds * head_factor);
}

}  // namespace lamina::cli
