// How fast models will decode here, from what the kernels do here.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/table.h"

namespace lamina::cli {

/// 10^9 int8 multiplications and additions per second of prefill, weights in the caches.
/// Errors: kResourceExhausted.
Result<double> MeasureInt8Gops(const kernels::Table& table, ThreadPool& pool);

/// What decides the speed of decoding.
struct DecodeShape {
  uint64_t layer_bytes;                    ///< Weights of all layers read per token.
  uint64_t head_bytes;                     ///< Weights of the output head.
  std::string_view layer_type, head_type;  ///< As GGUF spells them.
  int n_layers;
  int64_t d_model;
};

/// Decoded tokens per second of a model of this shape: the kernels that decode go through as many
/// bytes of zeros in the same phases, with the barriers and with what a layer of a usual shape does
/// besides (norms, rounding, attention over a short context). Of a large model some layers are
/// measured and the rest is added.
/// Errors: kResourceExhausted.
Result<double> PredictTokensPerSecond(const kernels::Table& table, ThreadPool& pool,
                                      const DecodeShape& shape);

}  // namespace lamina::cli
