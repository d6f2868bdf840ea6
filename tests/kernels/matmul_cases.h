// Matrices, inputs and comparisons that the tests of every table share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kernels/scratch.h"
#include "kernels/table.h"
#include "quant/type.h"

namespace lamina::kernels {

template <class T>
using Aligned = std::unique_ptr<T, decltype(&std::free)>;

template <class T>
Aligned<T> MakeAligned(int64_t n) {
  const size_t n_bytes = (size_t(n) * sizeof(T) + 63) / 64 * 64;
  Aligned<T> out(static_cast<T*>(std::aligned_alloc(64, n_bytes)), &std::free);
  std::memset(static_cast<void*>(out.get()), 0, n_bytes);
  return out;
}

enum class Fill {
  kModerate,  ///< Finite weights of ordinary size.
  kAny,       ///< Random bytes: infinite, NaN and subnormal scales too.
  kOnes,      ///< Every byte 0xFF in the weights, under ordinary scales where the format has them.
};

/// One matrix as GGUF rows and as panels.
struct Matrix {
  Matrix(const quant::TypeInfo& type, int64_t n_rows, int64_t n_cols, Fill fill, uint32_t seed)
      : type(type),
        n_rows(n_rows),
        n_cols(n_cols),
        n_panels((n_rows + quant::kPanelRows - 1) / quant::kPanelRows),
        row_bytes(n_cols / type.block_values * type.block_bytes),
        rows(size_t(n_rows * row_bytes)),
        panel_bytes(type.panel_bytes(n_cols)),
        panels(MakeAligned<uint8_t>(n_panels * panel_bytes)) {
    std::mt19937 random(seed);
    std::vector<float> values(type.block_values);
    for (size_t at = 0; at < rows.size(); at += type.block_bytes) {
      for (;;) {
        for (uint32_t i = 0; i < type.block_bytes; ++i) {
          rows[at + i] = fill == Fill::kOnes && random() % 4 != 0 ? 0xFF : uint8_t(random());
        }
        if (fill == Fill::kAny) break;
        type.dequantize(&rows[at], 1, values.data());
        float largest = 0;
        bool finite = true;
        for (float v : values) {
          finite = finite && std::isfinite(v);
          largest = std::fmax(largest, std::fabs(v));
        }
        if (finite && largest < 1000.0f && largest > 0.001f) break;
      }
    }
    for (int64_t panel = 0; panel < n_panels; ++panel) {
      const uint8_t* pointers[quant::kPanelRows];
      for (int r = 0; r < quant::kPanelRows; ++r) {
        const int64_t row = panel * quant::kPanelRows + r;
        pointers[r] = row < n_rows ? &rows[size_t(row * row_bytes)] : nullptr;
      }
      type.pack_panel(pointers, n_cols, panels.get() + panel * panel_bytes);
    }
  }

  const quant::TypeInfo& type;
  int64_t n_rows, n_cols, n_panels, row_bytes;
  std::vector<uint8_t> rows;
  int64_t panel_bytes;
  Aligned<uint8_t> panels;
};

/// Inputs of both kinds that mean the same numbers. extreme: every quantized value is +-127.
struct Inputs {
  Inputs(int64_t n_rows, int64_t n_cols, bool extreme, uint32_t seed)
      : n_blocks((n_cols + 31) / 32),
        blocks(MakeAligned<ActBlock>(n_rows * n_blocks)),
        values(size_t(n_rows * n_blocks * 32)) {
    std::mt19937 random(seed);
    for (int64_t i = 0; i < n_rows * n_blocks; ++i) {
      ActBlock& block = blocks.get()[i];
      block.scale = float(1 + random() % 1000) * 1.7e-4f;
      int32_t sums[2] = {0, 0};
      for (int k = 0; k < 32; ++k) {
        const int q = extreme ? (i % 2          ? 127
                                 : random() % 2 ? 127
                                                : -127)
                              : int(random() % 255) - 127;
        block.q[k] = int8_t(q);
        sums[k / 16] += q;
        values[size_t(i * 32 + k)] = block.scale * float(q);
      }
      block.neg_sum16[0] = -sums[0];
      block.neg_sum16[1] = -sums[1];
      block.neg_sum = -(sums[0] + sums[1]);
      block.scale_sum = block.scale * float(sums[0] + sums[1]);
    }
  }
  int64_t n_blocks;
  Aligned<ActBlock> blocks;
  std::vector<float> values;
};

/// y = W x by `table`, over panels [begin, end).
inline void RunMatmul(const Table& table, const Matrix& w, const Inputs& x, int64_t n_rows,
                      float* y, bool accumulate, int64_t begin, int64_t end) {
  auto scratch = MakeAligned<uint8_t>(ScratchBytes(w.n_cols));
  MatmulArgs args;
  args.panels = w.panels.get();
  args.panel_bytes = w.panel_bytes;
  args.n_cols = w.n_cols;
  args.panel_begin = begin;
  args.panel_end = end;
  args.x_int8 = x.blocks.get();
  args.x_f32 = x.values.data();
  args.x_stride = w.type.is_float ? x.n_blocks * 32 : x.n_blocks;
  args.n_rows = n_rows;
  args.y = y;
  args.y_stride = w.n_panels * quant::kPanelRows;
  args.accumulate = accumulate;
  args.scratch = scratch.get();
  table.matmul[quant::IndexOf(w.type)](args);
}

inline bool SameBits(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, 4) == 0;
}

/// `table` against `reference`: the same bits for every shape, row count and panel range.
inline void ExpectEqualTables(const Table& table, const Table& reference,
                              const quant::TypeInfo& type, int64_t n_outputs, int64_t n_cols,
                              const std::vector<int64_t>& row_counts, Fill fill, bool extreme) {
  const Matrix w(type, n_outputs, n_cols, fill, uint32_t(n_outputs * 1000 + n_cols));
  const int64_t most_rows = *std::max_element(row_counts.begin(), row_counts.end());
  const Inputs x(most_rows, n_cols, extreme, uint32_t(n_cols));
  const int64_t stride = w.n_panels * quant::kPanelRows;
  std::vector<float> expected(size_t(most_rows * stride), 0.5f);
  // One row at a time: what every other grouping of rows must reproduce.
  for (int64_t row = 0; row < most_rows; ++row) {
    Inputs one(1, n_cols, false, 1);
    std::memcpy(static_cast<void*>(one.blocks.get()), x.blocks.get() + row * x.n_blocks,
                size_t(x.n_blocks) * sizeof(ActBlock));
    std::memcpy(one.values.data(), x.values.data() + row * x.n_blocks * 32,
                size_t(x.n_blocks) * 128);
    RunMatmul(reference, w, one, 1, expected.data() + row * stride, true, 0, w.n_panels);
  }
  for (int64_t n_rows : row_counts) {
    std::vector<float> y(size_t(n_rows * stride), 0.5f);
    const int64_t middle = w.n_panels / 2;
    RunMatmul(table, w, x, n_rows, y.data(), true, 0, middle);
    RunMatmul(table, w, x, n_rows, y.data(), true, middle, w.n_panels);
    for (int64_t i = 0; i < n_rows * stride; ++i) {
      ASSERT_TRUE(SameBits(y[size_t(i)], expected[size_t(i)]))
          << table.isa << " " << type.name << " " << n_outputs << " x " << n_cols << ", row "
          << i / stride << " of " << n_rows << ", output " << i % stride << ": " << y[size_t(i)]
          << ", expected " << expected[size_t(i)];
    }
  }
}

}  // namespace lamina::kernels
