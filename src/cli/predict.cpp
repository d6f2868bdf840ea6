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

constexpr int64_t kCols = 2048;
constexpr int64_t kMemoryBytes = 128 << 20;  // Beyond the caches.
constexpr int64_t kCacheBytes = 1 << 20;     // Within them.
constexpr int64_t kPrefillRows = 64;
constexpr double kProbeSeconds = 0.25;
constexpr int kLeastPasses = 3;

// What a token costs besides its weights: norms, attention, barriers, the choice. Fitted to
// SmolLM2-135M and Gemma-3-270M.
constexpr double kTokenOverheadMs = 0.4;

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

// Bytes of weights per second that a product of `n_bytes` of weights of a type and n_rows rows of
// inputs goes through. Zeros are as fast as other numbers.
Result<double> BytesPerSecond(const kernels::Table& table, ThreadPool& pool, const char* type_name,
                              int64_t n_bytes, int64_t n_rows) {
  const quant::TypeInfo* type = quant::FindType(type_name);
  tensor::Matrix matrix;
  matrix.type = type;
  matrix.n_cols = kCols;
  matrix.panel_bytes = type->panel_bytes(kCols);
  const int64_t n_panels = n_bytes / matrix.panel_bytes;
  matrix.n_rows = n_panels * quant::kPanelRows;
  const int64_t weight_bytes = n_panels * matrix.panel_bytes;
  const int64_t input_bytes = tensor::QuantizedBytes(kCols, n_rows);
  const int64_t scratch_bytes = kernels::ScratchBytes(kCols);
  const int64_t result_bytes = n_rows * matrix.y_stride() * 4;
  const Memory memory(weight_bytes + input_bytes + pool.n_threads() * scratch_bytes + result_bytes);
  if (!memory.data()) return Error(Code::kResourceExhausted, "no memory to measure the kernels");
  uint8_t* const inputs_at = memory.data() + weight_bytes;
  uint8_t* const scratch_at = inputs_at + input_bytes;
  auto* const y = reinterpret_cast<float*>(scratch_at + pool.n_threads() * scratch_bytes);
  matrix.panels = memory.data();
  tensor::Inputs inputs;
  inputs.n_rows = n_rows;
  inputs.quantized = {reinterpret_cast<kernels::ActBlock*>(inputs_at), kCols, n_rows};
  const std::vector<float> row(kCols, 1.0f);
  for (int64_t i = 0; i < n_rows; ++i) tensor::QuantizeRow(table, row.data(), inputs.quantized, i);
  // Untouched pages would all be the one page of zeros.
  pool.Run([&](int thread) {
    const Range range = SplitRange(n_panels, thread, pool.n_threads());
    std::memset(memory.data() + range.begin * matrix.panel_bytes, 0,
                static_cast<size_t>((range.end - range.begin) * matrix.panel_bytes));
  });

  using Clock = std::chrono::steady_clock;
  double best = 0, total = 0;
  for (int pass = 0; pass < kLeastPasses || total < kProbeSeconds; ++pass) {
    const auto start = Clock::now();
    pool.Run([&](int thread) {
      const Range range = SplitRange(n_panels, thread, pool.n_threads());
      tensor::Matmul(table, matrix, inputs, range.begin, range.end, y, matrix.y_stride(), false,
                     scratch_at + thread * scratch_bytes);
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    total += seconds;
    best = std::max(best, static_cast<double>(weight_bytes) / seconds);
  }
  return best;
}

}  // namespace

Result<KernelSpeed> MeasureKernels(const kernels::Table& table, ThreadPool& pool) {
  KernelSpeed speed;
  speed.gb_per_s_4bit = TRY(BytesPerSecond(table, pool, "Q4_1", kMemoryBytes, 1)) / 1e9;
  speed.gb_per_s_8bit = TRY(BytesPerSecond(table, pool, "Q8_0", kMemoryBytes, 1)) / 1e9;
  const double bytes_in_cache =
      TRY(BytesPerSecond(table, pool, "Q8_0", kCacheBytes * pool.n_threads(), kPrefillRows));
  const double bytes_per_weight = static_cast<double>(quant::FindType("Q8_0")->panel_bytes(kCols)) /
                                  (quant::kPanelRows * kCols);
  speed.int8_gops = 2 * kPrefillRows * bytes_in_cache / bytes_per_weight / 1e9;
  return speed;
}

double PredictTokensPerSecond(const KernelSpeed& speed, uint64_t decode_bytes,
                              uint64_t n_parameters) {
  constexpr double kBits4 = 5, kBits8 = 8.5;  // Of Q4_1 and Q8_0.
  const auto bytes = static_cast<double>(decode_bytes);
  const double bits = std::clamp(8 * bytes / static_cast<double>(n_parameters), kBits4, kBits8);
  const double part_8bit = (bits - kBits4) / (kBits8 - kBits4);  // Of the weights.
  const double bytes_8bit = bytes * part_8bit * kBits8 / bits;
  const double seconds = (bytes - bytes_8bit) / (speed.gb_per_s_4bit * 1e9) +
                         bytes_8bit / (speed.gb_per_s_8bit * 1e9) + kTokenOverheadMs / 1e3;
  return 1 / seconds;
}

}  // namespace lamina::cli
