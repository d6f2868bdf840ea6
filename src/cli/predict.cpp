#include "cli/predict.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
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

// A layer as in model/, of a usual shape: the phases between its barriers, and the share of its
// weights that those before each have read.
enum Phase { kQkv, kRotate, kAttention, kOutput, kGateUp, kDown, kNumPhases };
constexpr double kSharesBefore[kNumPhases + 1] = {0, 0.17, 0.17, 0.17, 0.28, 0.77, 1};
constexpr int kHeadWidth = 64;
constexpr int64_t kFfnFactor = 3;  // Width of the feed-forward network to that of the model.
constexpr int kPageTokens = 64;
constexpr int64_t kSeen = 32;  // Positions: an answer's beginning.

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

  // One thread's part of the product with the panels from a share `from` of all on, to `to`.
  void Multiply(int thread, double from = 0, double to = 1) const {
    const auto begin = static_cast<int64_t>(from * static_cast<double>(n_panels_));
    const int64_t n = static_cast<int64_t>(to * static_cast<double>(n_panels_)) - begin;
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

// What one thread does in a layer besides products: residual sums, norms and roundings for itself,
// as in any step of few rows; rotation and attention of its heads over a short context; activation
// and rounding of its part of the network.
class ThreadRest {
 public:
  ThreadRest(const kernels::Table& table, int64_t d_model, int n_threads)
      : table_(table),
        d_(d_model),
        n_own_heads_(static_cast<int>((d_model / kHeadWidth + n_threads - 1) / n_threads)),
        n_own_ffn_((kFfnFactor * d_model / n_threads + 31) / 32 * 32),
        floats_(4 * kNumBuffers * width()),
        blocks_(tensor::QuantizedBytes(width(), 1)),
        pages_(2 * kPageTokens * kernels::KvRowBytes(kernels::KvType::kF16, kHeadWidth)),
        scratch_(kernels::AttentionScratchBytes(1, n_own_heads_, kHeadWidth, kHeadWidth)) {
    if (!valid()) return;
    std::fill_n(buffer(0), kNumBuffers * width(), 1.0f);
    k_page_ = pages_.data();
    v_page_ = pages_.data() + kPageTokens * kernels::KvRowBytes(kernels::KvType::kF16, kHeadWidth);
  }
  bool valid() const {
    return floats_.data() && blocks_.data() && pages_.data() && scratch_.data();
  }

  void Before(Phase phase) const {
    const kernels::VectorKernels& v = table_.vector;
    if (phase == kQkv || phase == kGateUp) {
      v.add(buffer(0), buffer(1), d_, buffer(2));
      v.rms_norm(buffer(2), buffer(3), 1e-5f, d_, buffer(2));
      Round(d_);
    } else if (phase == kRotate) {
      for (int head = 0; head < n_own_heads_; ++head) {
        v.rope(buffer(2), buffer(0), buffer(1), kHeadWidth, false);
      }
      v.store_key(buffer(0), kernels::KvType::kF16, kHeadWidth, pages_.data(), kSeen - 1);
    } else if (phase == kAttention) {
      Attend();
      Round(int64_t{n_own_heads_} * kHeadWidth);
    }
  }
  void After(Phase phase) const {
    if (phase != kGateUp) return;
    table_.vector.silu_mul(buffer(0), buffer(1), n_own_ffn_, buffer(2));
    Round(n_own_ffn_);
  }

 private:
  static constexpr int kNumBuffers = 4;
  int64_t width() const { return std::max(kFfnFactor * d_, int64_t{n_own_heads_} * kHeadWidth); }
  float* buffer(int i) const { return reinterpret_cast<float*>(floats_.data()) + i * width(); }
  void Round(int64_t n) const {
    tensor::QuantizeRow(table_, buffer(2),
                        {reinterpret_cast<kernels::ActBlock*>(blocks_.data()), n, 1}, 0);
  }
  void Attend() const {
    kernels::AttentionArgs args{};
    args.q = buffer(0);
    args.q_stride = args.out_stride = args.d_head = args.d_value = kHeadWidth;
    args.n_tokens = 1;
    args.n_group = n_own_heads_;
    args.kv_type = kernels::KvType::kF16;
    args.page_tokens = kPageTokens;
    args.k_pages = &k_page_;
    args.v_pages = &v_page_;
    args.position = kSeen - 1;
    args.scale = 0.1f;
    args.out = buffer(2);
    args.scratch = scratch_.data();
    table_.attention(args);
  }

  const kernels::Table& table_;
  const int64_t d_;
  const int n_own_heads_;
  const int64_t n_own_ffn_;
  Memory floats_, blocks_, pages_, scratch_;
  const void* k_page_ = nullptr;
  const void* v_page_ = nullptr;
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
      BestSeconds([&] { pool.Run([&](int thread) { products.Multiply(thread); }); });
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
  std::deque<ThreadRest> rests;
  for (int t = 0; t < pool.n_threads(); ++t) {
    rests.emplace_back(table, shape.d_model, pool.n_threads());
    if (!rests.back().valid()) return Error(NoMemory());
  }
  if (!layers.valid() || !head.valid()) return Error(NoMemory());

  double head_seconds = 0, best = 1e9;
  BestSeconds([&] {
    double head_total = 0;
    const auto start = Clock::now();
    for (int token = 0; token < kTokens; ++token) {
      pool.Run([&](int thread) {
        const ThreadRest& rest = rests[static_cast<size_t>(thread)];
        for (int layer = 0; layer < n_measured; ++layer) {
          for (int p = 0; p < kNumPhases; ++p) {
            const auto phase = static_cast<Phase>(p);
            rest.Before(phase);
            layers.Multiply(thread, (layer + kSharesBefore[p]) / n_measured,
                            (layer + kSharesBefore[p + 1]) / n_measured);
            rest.After(phase);
            pool.Barrier(thread);
          }
        }
        const auto head_start = Clock::now();
        rest.Before(kQkv);
        head.Multiply(thread);
        pool.Barrier(thread);
        if (thread == 0) head_total += Seconds(head_start);
      });
    }
    const double seconds = Seconds(start);
    if (seconds >= best) return;
    best = seconds;
    head_seconds = head_total / kTokens;
  });
  const double layer_seconds = std::max(best / kTokens - head_seconds, 0.0) / n_measured;
  return 1 / (layer_seconds * shape.n_layers + head_seconds * head_factor);
}

}  // namespace lamina::cli
