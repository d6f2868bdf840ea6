// Speed of every weight type's matrix product on every table that this CPU can run.
//
// usage: kernels_bench [--isa NAME] [--type NAME] [--threads N] [--few-rows last]
//
// --few-rows: instead, products per second and thread of 1 to 16 rows and 256 outputs, in cache.
// Prefill: 512 rows, matrices of a small model (in cache), products per second and their share of
// the CPU's peak, per thread (CPU time). Decode: one row and 4 rows over 128 MiB of weights (wall
// time), bytes per second and their share of the measured read bandwidth.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "peak.h"
#include "quant/type.h"

namespace lamina::bench {
namespace {

using kernels::ActBlock;
using Buffer = std::unique_ptr<uint8_t, decltype(&std::free)>;

Buffer MakeBuffer(int64_t n_bytes) {
  Buffer buffer(static_cast<uint8_t*>(std::aligned_alloc(64, size_t(n_bytes + 4095) / 64 * 64)),
                &std::free);
  std::memset(buffer.get(), 0, size_t(n_bytes));
  return buffer;
}

/// Speed does not depend on the values; zero scales keep sums finite.
struct Problem {
  Problem(const quant::TypeInfo& type, int64_t n_outputs, int64_t n_cols, int64_t n_rows)
      : n_cols(n_cols),
        n_rows(n_rows),
        n_panels((n_outputs + 15) / 16),
        panel_bytes(type.panel_bytes(n_cols)),
        panels(MakeBuffer(n_panels * panel_bytes)),
        inputs(MakeBuffer(n_rows * n_cols * 4)),
        y(size_t(n_rows * n_panels * 16)),
        is_float(type.is_float) {}

  void Run(kernels::MatmulFn matmul, int64_t begin, int64_t end, uint8_t* scratch) {
    kernels::MatmulArgs m;
    m.panels = panels.get();
    m.panel_bytes = panel_bytes;
    m.n_cols = n_cols;
    m.panel_begin = begin;
    m.panel_end = end;
    m.x_int8 = reinterpret_cast<const ActBlock*>(inputs.get());
    m.x_f32 = reinterpret_cast<const float*>(inputs.get());
    m.x_stride = is_float ? n_cols : n_cols / 32;
    m.n_rows = n_rows;
    m.y = y.data();
    m.y_stride = n_panels * 16;
    m.accumulate = false;
    m.scratch = scratch;
    matmul(m);
  }
  double macs() const { return double(n_panels * 16) * double(n_cols) * double(n_rows); }

  int64_t n_cols, n_rows, n_panels, panel_bytes;
  Buffer panels, inputs;
  std::vector<float> y;
  bool is_float;
};

/// 1e9 products per second of one thread, best of several runs.
double GmacPerS(kernels::MatmulFn matmul, const quant::TypeInfo& type, int64_t n_outputs,
                int64_t n_cols, int64_t n_rows) {
  Problem problem(type, n_outputs, n_cols, n_rows);
  const Buffer scratch = MakeBuffer(kernels::ScratchBytes(n_cols));
  double best = 1e30;
  for (int i = 0; i < (n_rows < 32 ? 50 : 4); ++i) {
    const double start = ThreadSeconds();
    problem.Run(matmul, 0, problem.n_panels, scratch.get());
    best = std::min(best, ThreadSeconds() - start);
  }
  return problem.macs() / best * 1e-9;
}

void PrintFewRows(const kernels::Table& table, const std::string& only_type) {
  constexpr int64_t kRowCounts[] = {1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64};
  std::printf("%s, GMAC/s of one thread\n%-7s", table.isa, "rows");
  for (int64_t n_rows : kRowCounts) std::printf(" %6d", int(n_rows));
  std::printf("\n");
  for (const quant::TypeInfo& type : quant::Types()) {
    if (!only_type.empty() && only_type != type.name) continue;
    std::printf("%-7s", std::string(type.name).c_str());
    for (int64_t n_rows : kRowCounts) {
      std::printf(" %6.1f", GmacPerS(table.matmul[quant::IndexOf(type)], type, 256, 768, n_rows));
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

/// 1e9 bytes of weights per second, all threads, best of several runs.
double DecodeGbPerS(kernels::MatmulFn matmul, const quant::TypeInfo& type, int64_t n_rows,
                    ThreadPool& pool) {
  const int64_t n_cols = 2048;
  const int64_t n_panels = (int64_t{128} << 20) / type.panel_bytes(n_cols);
  Problem problem(type, n_panels * 16, n_cols, n_rows);
  const Buffer scratch = MakeBuffer(kernels::ScratchBytes(n_cols) * pool.n_threads());
  double best = 1e30;
  for (int i = 0; i < 4; ++i) {
    const auto start = std::chrono::steady_clock::now();
    pool.Run([&](int thread) {
      const Range range = SplitRange(n_panels, thread, pool.n_threads());
      problem.Run(matmul, range.begin, range.end,
                  scratch.get() + thread * kernels::ScratchBytes(n_cols));
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  return double(n_panels * problem.panel_bytes) / best * 1e-9;
}

int Main(int argc, char** argv) {
  std::string isa, only_type;
  int n_threads = DefaultThreadCount();
  const bool few_rows = argc > 1 && std::string(argv[argc - 1]) == "--few-rows";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--isa") isa = argv[i + 1];
    if (std::string(argv[i]) == "--type") only_type = argv[i + 1];
    if (std::string(argv[i]) == "--threads") n_threads = std::max(1, std::atoi(argv[i + 1]));
  }
  ThreadPool pool(n_threads);
  for (const kernels::Table* table : kernels::Available()) {
    if (isa.empty() ? std::string(table->isa) == "scalar" : isa != table->isa) continue;
    if (few_rows) {
      PrintFewRows(*table, only_type);
      continue;
    }
    const double peak = PeakGmacPerS(table->isa);
    const double read = ReadGbPerS(n_threads);
    std::printf("%s: peak %.0f GMAC/s per thread, %d threads read %.1f GB/s\n", table->isa, peak,
                n_threads, read);
    std::printf("%-7s %25s %25s | %22s %22s\n", "", "512 rows, 1536 x 576", "512 rows, 2048 x 2048",
                "1 row from memory", "4 rows");
    for (const quant::TypeInfo& type : quant::Types()) {
      if (!only_type.empty() && only_type != type.name) continue;
      const kernels::MatmulFn matmul = table->matmul[quant::IndexOf(type)];
      std::printf("%-7s", std::string(type.name).c_str());
      for (const auto& [n_outputs, n_cols] : {std::pair{1536, 576}, std::pair{2048, 2048}}) {
        if (n_cols % type.block_values != 0) {
          std::printf(" %25s", "-");
          continue;
        }
        const double gmac = GmacPerS(matmul, type, n_outputs, n_cols, 512);
        std::printf(" %12.1f GMAC/s (%3.0f%%)", gmac, peak > 0 ? 100 * gmac / peak : 0);
      }
      std::printf(" |");
      for (int64_t n_rows : {1, 4}) {
        const double gb = DecodeGbPerS(matmul, type, n_rows, pool);
        std::printf(" %10.1f GB/s (%3.0f%%)", gb, 100 * gb / read);
      }
      std::printf("\n");
      std::fflush(stdout);
    }
    std::printf("%d threads read %.1f GB/s afterwards\n", n_threads, ReadGbPerS(n_threads));
  }
  return 0;
}

}  // namespace
}  // namespace lamina::bench

int main(int argc, char** argv) { return lamina::bench::Main(argc, argv); }
