// Memory that a matrix product needs beside its operands.
#pragma once

#include <stdint.h>

namespace lamina::kernels {

/// Bytes of scratch that a matmul of n_cols inputs needs per thread (a multiple of 64).
inline int64_t ScratchBytes(int64_t n_cols) {
  // Two expanded panels; per 32 inputs each has 512 bytes of weights, 2 scales and 2 minima per
  // row.
  return (n_cols + 31) / 32 * 2 * (512 + 4 * 64);
}

}  // namespace lamina::kernels
