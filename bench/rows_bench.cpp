// Speed of the operations beside matrix products: rows, attention, convolution, delta rule, on
// every table that this CPU can run.
//
// usage: rows_bench [--isa NAME]
//
// One thread, its CPU time. Row operations: bytes read and written per second, rows of 2048 in the
// first-level cache, as a share of copying such a row. Attention and delta rule: products per
// second as a share of the CPU's f32 multiply-adds.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/dispatch.h"
#include "peak.h"

namespace lamina::bench {
namespace {

constexpr int64_t kRow = 2048;
constexpr double kMinSeconds = 0.01;  // per measurement; the best of five counts

/// Seconds of one call.
double BestSeconds(const std::function<void()>& call) {
  double best = 1e30;
  int n_calls = 1;
  for (int i = 0; i < 5;) {
    const double start = ThreadSeconds();
    for (int j = 0; j < n_calls; ++j) call();
    const double seconds = ThreadSeconds() - start;
    if (seconds < kMinSeconds) {
      n_calls *= 2;
      continue;
    }
    best = std::min(best, seconds / n_calls);
    ++i;
  }
  return best;
}

/// 64-byte aligned floats that are small and not all alike.
class Floats {
 public:
  explicit Floats(int64_t n) : storage_(static_cast<size_t>(n) + 16) {
    for (size_t i = 0; i < storage_.size(); ++i) storage_[i] = 0.01f * static_cast<float>(i % 31);
  }
  float* data() {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    return reinterpret_cast<float*>((address + 63) / 64 * 64);
  }

 private:
  std::vector<float> storage_;
};

void Print(const char* name, double value, const char* unit, double peak) {
  std::printf("  %-34s %8.1f %s", name, value, unit);
  if (peak > 0) std::printf(" (%3.0f%%)", 100 * value / peak);
  std::printf("\n");
  std::fflush(stdout);
}

void BenchRows(const kernels::Table& table, double copy) {
  Floats a(kRow), b(kRow), out(kRow), blocks(kRow / 32 * 16);
  const kernels::VectorKernels& v = table.vector;
  float* x = a.data();
  float* y = b.data();
  float* z = out.data();
  auto* quantized = reinterpret_cast<kernels::ActBlock*>(blocks.data());
  std::vector<uint8_t> page(4 * 64 * 256);
  int64_t best_index = 0;
  const int64_t row_bytes = kRow * 4;
  const int64_t block_bytes = kRow / 32 * static_cast<int64_t>(sizeof(kernels::ActBlock));
  const std::vector<std::tuple<const char*, int64_t, std::function<void()>>> operations = {
      {"quantize_row", row_bytes + block_bytes,
       [&] { v.quantize_row(x, kRow, quantized, nullptr); }},
      {"rms_norm", 3 * row_bytes, [&] { v.rms_norm(x, y, 1e-5f, kRow, z); }},
      {"add", 3 * row_bytes, [&] { v.add(x, y, kRow, z); }},
      {"mul", 3 * row_bytes, [&] { v.mul(x, y, kRow, z); }},
      {"scale", 2 * row_bytes, [&] { v.scale(x, 0.5f, kRow, z); }},
      {"axpy", 3 * row_bytes, [&] { v.axpy(1e-6f, x, kRow, z); }},
      {"silu_mul", 3 * row_bytes, [&] { v.silu_mul(x, y, kRow, z); }},
      {"gelu_mul", 3 * row_bytes, [&] { v.gelu_mul(x, y, kRow, z); }},
      {"sigmoid_mul", 3 * row_bytes, [&] { v.sigmoid_mul(x, y, kRow, z); }},
      {"softcap", 2 * row_bytes, [&] { v.softcap(x, 30.0f, kRow, z); }},
      {"softmax", 2 * row_bytes, [&] { v.softmax(x, kRow, z); }},
      {"rope, 128 wide", 3 * 128 * 4, [&] { v.rope(z, x, y, 128, false); }},
      {"store_key f16, 64 wide", 64 * 6,
       [&] { v.store_key(x, kernels::KvType::kF16, 64, page.data(), 5); }},
      {"store_value f16, 64 wide", 64 * 6,
       [&] { v.store_value(x, kernels::KvType::kF16, 64, page.data(), 5); }},
      {"argmax", row_bytes, [&] { best_index += v.argmax(x, kRow); }},
  };
  for (const auto& [name, n_bytes, call] : operations) {
    Print(name, static_cast<double>(n_bytes) / BestSeconds(call) * 1e-9, "GB/s  ", copy);
  }
}

/// n_tokens rows whose last is at position n_seen - 1, one KV head with its group of query heads.
void BenchAttention(const kernels::Table& table, const char* name, kernels::KvType type,
                    int64_t n_tokens, int n_group, int d_head, int64_t n_seen, double peak) {
  constexpr int64_t kPage = 64;
  const int64_t n_pages = (n_seen + kPage - 1) / kPage;
  const int64_t page_bytes = kPage * kernels::KvRowBytes(type, d_head);
  std::vector<uint8_t> pages(static_cast<size_t>(2 * n_pages * page_bytes) + 64);
  std::vector<const void*> k_pages, v_pages;
  uint8_t* first = pages.data() + (64 - reinterpret_cast<uintptr_t>(pages.data()) % 64) % 64;
  for (int64_t i = 0; i < n_pages; ++i) {
    k_pages.push_back(first + 2 * i * page_bytes);
    v_pages.push_back(first + (2 * i + 1) * page_bytes);
  }
  Floats q(n_tokens * n_group * d_head), out(n_tokens * n_group * d_head);
  Floats scratch(kernels::AttentionScratchBytes(n_tokens, n_group, d_head, d_head) / 4);
  kernels::AttentionArgs args{};
  args.q = q.data();
  args.q_stride = args.out_stride = d_head;
  args.q_token_stride = args.out_token_stride = int64_t{n_group} * d_head;
  args.n_tokens = n_tokens;
  args.n_group = n_group;
  args.d_head = args.d_value = d_head;
  args.kv_type = type;
  args.page_tokens = kPage;
  args.k_pages = k_pages.data();
  args.v_pages = v_pages.data();
  args.position = n_seen - n_tokens;
  args.scale = 0.1f;
  args.out = out.data();
  args.scratch = scratch.data();
  // A row sees half of the call's own rows on average.
  const double seen = static_cast<double>(args.position) + 0.5 * static_cast<double>(n_tokens + 1);
  const double macs = 2.0 * seen * d_head * n_group * static_cast<double>(n_tokens);
  Print(name, macs / BestSeconds([&] { table.attention(args); }) * 1e-9, "GMAC/s", peak);
}

void BenchDelta(const kernels::Table& table, const char* name, int64_t n_tokens, double peak) {
  constexpr int kWidth = 128;
  Floats q(n_tokens * kWidth), k(n_tokens * kWidth), v(n_tokens * kWidth), out(n_tokens * kWidth);
  Floats state(kWidth * kWidth), scratch(kernels::DeltaScratchBytes(kWidth, kWidth) / 4);
  std::vector<float> decay(static_cast<size_t>(n_tokens), -0.5f);
  std::vector<float> beta(static_cast<size_t>(n_tokens), 0.1f);
  kernels::DeltaArgs args{};
  args.q = q.data();
  args.k = k.data();
  args.v = v.data();
  args.q_stride = args.k_stride = args.v_stride = args.out_stride = kWidth;
  args.log_decay = decay.data();
  args.beta = beta.data();
  args.gate_stride = 1;
  args.n_tokens = n_tokens;
  args.d_k = args.d_v = kWidth;
  args.state = state.data();
  args.out = out.data();
  args.scratch = scratch.data();
  const double macs = 3.0 * kWidth * kWidth * static_cast<double>(n_tokens);
  Print(name, macs / BestSeconds([&] { table.delta(args); }) * 1e-9, "GMAC/s", peak);
}

void BenchConvolution(const kernels::Table& table, double copy) {
  Floats x(kRow), weight(4 * kRow), state(3 * kRow), out(kRow);
  kernels::ConvArgs args{};
  args.x = x.data();
  args.x_stride = args.weight_stride = args.state_stride = args.out_stride = kRow;
  args.n_tokens = 1;
  args.n_channels = kRow;
  args.kernel = 4;
  args.weight = weight.data();
  args.state = state.data();
  args.silu = true;
  args.out = out.data();
  // The input, the taps, the state read and written, the output.
  const double n_bytes = static_cast<double>(kRow) * 4 * (1 + 4 + 2 * 3 + 1);
  Print("convolution, 1 token, 4 taps", n_bytes / BestSeconds([&] { table.conv(args); }) * 1e-9,
        "GB/s  ", copy);
}

int Main(int argc, char** argv) {
  const std::string isa = argc > 2 && std::string(argv[1]) == "--isa" ? argv[2] : "";
  for (const kernels::Table* table : kernels::Available()) {
    if (isa.empty() ? std::string(table->isa) == "scalar" : isa != table->isa) continue;
    const double copy = CopyGbPerS(table->isa);
    const double peak = PeakFmaGmacPerS(table->isa);
    std::printf("%s, one thread: copying a row %.0f GB/s, f32 multiply-adds %.0f GMAC/s\n",
                table->isa, copy, peak);
    BenchRows(*table, copy);
    BenchConvolution(*table, copy);
    using kernels::KvType;
    for (const auto& [name, type] : {std::pair{"f16", KvType::kF16}, {"q8_0", KvType::kQ8_0}}) {
      for (const auto& [d_head, n_group] : {std::pair{64, 3}, {128, 4}}) {
        const std::string shape = std::string(name) + ", " + std::to_string(n_group) +
                                  " heads of " + std::to_string(d_head);
        BenchAttention(*table, ("attention 1 row " + shape).c_str(), type, 1, n_group, d_head, 512,
                       peak);
        BenchAttention(*table, ("attention 16 rows " + shape).c_str(), type, 16, n_group, d_head,
                       512, peak);
      }
    }
    BenchDelta(*table, "delta rule, 1 token", 1, peak);
    BenchDelta(*table, "delta rule, 256 tokens", 256, peak);
  }
  return 0;
}

}  // namespace
}  // namespace lamina::bench

int main(int argc, char** argv) { return lamina::bench::Main(argc, argv); }
