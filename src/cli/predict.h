// How fast models will decode here, from what the kernels do here.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/table.h"

namespace lamina::cli {

/// What decides the speed of decoding, measured with the kernels that decode.
struct KernelSpeed {
  double gb_per_s_4bit = 0;  ///< Weights of Q4_1 times one row of inputs, out of memory.
  double gb_per_s_8bit = 0;  ///< Weights of Q8_0 likewise.
  double int8_gops = 0;      ///< 10^9 int8 multiplications and additions per second, out of cache.
};

/// Takes about a second. Errors: kResourceExhausted.
Result<KernelSpeed> MeasureKernels(const kernels::Table& table, ThreadPool& pool);

/// Decoded tokens per second of a model: its weights at the speed of the two measured types, mixed
/// by its bits per weight, and what a token costs besides.
/// `decode_bytes`: bytes of weights read per token; `n_parameters`: of the same weights.
double PredictTokensPerSecond(const KernelSpeed& speed, uint64_t decode_bytes,
                              uint64_t n_parameters);

}  // namespace lamina::cli
