// Packed matrices times rows of inputs against double, for every weight type and CPU.
#include "tensor/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"

namespace lamina::tensor {
namespace {

struct Free {
  void operator()(void* p) const { std::free(p); }
};
template <class T>
std::unique_ptr<T[], Free> Aligned(int64_t bytes) {
  const auto rounded = static_cast<size_t>((bytes + 63) / 64 * 64);
  auto* p = std::aligned_alloc(64, rounded);
  std::memset(p, 0xFF, rounded);
  return std::unique_ptr<T[], Free>(static_cast<T*>(p));
}

/// Blocks of random bits whose f16 and f32 fields are finite and of moderate size.
std::vector<uint8_t> RandomBlocks(const quant::TypeInfo& type, int64_t n_rows, int64_t n_cols) {
  std::mt19937 random(static_cast<uint32_t>(n_rows * 1000 + n_cols));
  const int64_t n_blocks = n_cols / type.block_values;
  std::vector<uint8_t> bytes;
  std::vector<float> values(type.block_values);
  while (static_cast<int64_t>(bytes.size()) < n_rows * n_blocks * type.block_bytes) {
    std::vector<uint8_t> block(type.block_bytes);
    for (;;) {
      for (uint8_t& b : block) b = static_cast<uint8_t>(random());
      type.dequantize(block.data(), 1, values.data());
      float max = 0;
      for (float x : values) max = std::isfinite(x) ? std::max(max, std::abs(x)) : 1e9f;
      if (max > 1e-3f && max < 1e3f) break;
    }
    bytes.insert(bytes.end(), block.begin(), block.end());
  }
  return bytes;
}

/// A random matrix, packed, and its weights as f32.
struct Packed {
  std::vector<uint8_t> blocks;
  std::unique_ptr<uint8_t[], Free> panels;
  Matrix matrix;
  std::vector<float> weights;

  Packed(ThreadPool& pool, const quant::TypeInfo& type, int64_t n_rows, int64_t n_cols) {
    blocks = RandomBlocks(type, n_rows, n_cols);
    panels = Aligned<uint8_t>(PackedBytes(type, n_rows, n_cols));
    const int64_t row_bytes = n_cols / type.block_values * type.block_bytes;
    matrix = Pack(
        pool, type, n_rows, n_cols, [&](int64_t row) { return blocks.data() + row * row_bytes; },
        panels.get());
    weights.resize(static_cast<size_t>(n_rows * n_cols));
    type.dequantize(blocks.data(), n_rows * n_cols / type.block_values, weights.data());
  }
};

std::vector<float> RandomRows(int64_t n) {
  std::mt19937 random(static_cast<uint32_t>(n));
  std::normal_distribution<float> normal;
  std::vector<float> rows(static_cast<size_t>(n));
  for (float& x : rows) x = normal(random);
  return rows;
}

/// y [n_rows][y_stride] by the given table, in one call per part of the panels.
std::vector<float> Product(const kernels::Table& table, const Matrix& matrix,
                           const std::vector<float>& x, int64_t n_rows, int n_parts) {
  const int64_t n_cols = matrix.n_cols;
  auto blocks = Aligned<kernels::ActBlock>(QuantizedBytes(n_cols, n_rows));
  Inputs inputs;
  inputs.n_rows = n_rows;
  inputs.values = x.data();
  inputs.values_stride = n_cols;
  inputs.quantized = {blocks.get(), n_cols, n_rows};
  for (int64_t row = 0; row < n_rows; ++row) {
    QuantizeRow(table, x.data() + row * n_cols, inputs.quantized, row);
  }
  auto scratch = Aligned<uint8_t>(kernels::ScratchBytes(n_cols));
  std::vector<float> y(static_cast<size_t>(n_rows * matrix.y_stride()));
  for (int part = 0; part < n_parts; ++part) {
    const Range range = SplitRange(matrix.n_panels(), part, n_parts);
    Matmul(table, matrix, inputs, range.begin, range.end, y.data(), matrix.y_stride(), false,
           scratch.get());
  }
  return y;
}

TEST(Linear, EveryTypeIsNearDouble) {
  ThreadPool pool(2);
  for (const quant::TypeInfo& type : quant::Types()) {
    for (int64_t n_cols : {256, 1024}) {
      const Packed packed(pool, type, 40, n_cols);
      const int64_t n_rows = 5;
      const auto x = RandomRows(n_rows * n_cols);
      for (const kernels::Table* table : kernels::Available()) {
        const auto y = Product(*table, packed.matrix, x, n_rows, 2);
        for (int64_t row = 0; row < n_rows; ++row) {
          for (int64_t out = 0; out < 40; ++out) {
            double expected = 0, size = 0;
            for (int64_t k = 0; k < n_cols; ++k) {
              const double w = packed.weights[static_cast<size_t>(out * n_cols + k)];
              expected += w * x[static_cast<size_t>(row * n_cols + k)];
              size += w * w;
            }
            // Inputs have variance 1: an error is measured against the norm of the weights. One
            // int8 plane of a normal row errs by about 0.007 per input, three by 1e-7.
            const double tolerance =
                type.is_float || PlaneCount(n_cols) == kMaxPlanes ? 2e-5 : 0.05;
            ASSERT_NEAR(y[static_cast<size_t>(row * packed.matrix.y_stride() + out)], expected,
                        tolerance * std::sqrt(size))
                << table->isa << " " << type.name << " " << n_cols << " row " << row << " out "
                << out;
          }
        }
      }
    }
  }
}

TEST(Linear, BitsDependNeitherOnRowsNorOnParts) {
  ThreadPool pool(1);
  for (const quant::TypeInfo& type : quant::Types()) {
    const int64_t n_cols = 512;
    const Packed packed(pool, type, 70, n_cols);
    const auto x = RandomRows(16 * n_cols);
    for (const kernels::Table* table : kernels::Available()) {
      const auto all = Product(*table, packed.matrix, x, 16, 1);
      for (int64_t n_rows : {1, 2, 5, 16}) {
        for (int n_parts : {1, 2, 5}) {
          const auto some = Product(*table, packed.matrix, x, n_rows, n_parts);
          ASSERT_EQ(std::memcmp(some.data(), all.data(), some.size() * sizeof(float)), 0)
              << table->isa << " " << type.name << " rows " << n_rows << " parts " << n_parts;
        }
      }
    }
  }
}

TEST(Linear, AccumulateAddsAndFirstRowShifts) {
  ThreadPool pool(1);
  const quant::TypeInfo& type = *quant::FindType("Q8_0");
  const int64_t n_cols = 64;
  const Packed packed(pool, type, 16, n_cols);
  const auto x = RandomRows(3 * n_cols);
  const kernels::Table& table = *kernels::Available().front();
  const auto expected = Product(table, packed.matrix, x, 3, 1);
  auto blocks = Aligned<kernels::ActBlock>(QuantizedBytes(n_cols, 3));
  Inputs inputs;
  inputs.n_rows = 1;
  inputs.quantized = {blocks.get(), n_cols, 3};
  inputs.first_row = 2;
  for (int64_t row = 0; row < 3; ++row) {
    QuantizeRow(table, x.data() + row * n_cols, inputs.quantized, row);
  }
  auto scratch = Aligned<uint8_t>(kernels::ScratchBytes(n_cols));
  std::vector<float> y(16, 100.0f);
  Matmul(table, packed.matrix, inputs, 0, 1, y.data(), 16, true, scratch.get());
  for (size_t i = 0; i < 16; ++i) EXPECT_NEAR(y[i], 100.0f + expected[32 + i], 1e-3f);
}

TEST(Linear, UnpackRowIsTheRowPackedAndNullRowsAreZero) {
  ThreadPool pool(2);
  for (const quant::TypeInfo& type : quant::Types()) {
    const Packed packed(pool, type, 37, 256);
    for (int64_t row : {0, 15, 16, 36}) {
      std::vector<float> out(256);
      UnpackRow(packed.matrix, row, out.data());
      ASSERT_EQ(std::memcmp(out.data(), packed.weights.data() + row * 256, 1024), 0)
          << type.name << " row " << row;
    }
  }
  for (const quant::TypeInfo& type : quant::Types()) {
    auto panels = Aligned<uint8_t>(PackedBytes(type, 16, 256));
    const auto no_row = [](int64_t) -> const uint8_t* { return nullptr; };
    const Matrix zeros = Pack(pool, type, 16, 256, no_row, panels.get());
    const auto y = Product(*kernels::Available().front(), zeros, RandomRows(256), 1, 1);
    for (float x : y) EXPECT_EQ(x, 0.0f) << type.name;
  }
}

TEST(Linear, PlanesShrinkTheError) {
  const kernels::Table& table = *kernels::Available().front();
  const int64_t n_cols = 128;
  const auto x = RandomRows(n_cols);
  auto blocks = Aligned<kernels::ActBlock>(QuantizedBytes(n_cols, 1));
  const QuantizedRows rows{blocks.get(), n_cols, 1};
  QuantizeRow(table, x.data(), rows, 0);
  std::vector<double> rest(x.begin(), x.end());
  double last = 1e9;
  for (int plane = 0; plane < PlaneCount(n_cols); ++plane) {
    double error = 0;
    for (size_t i = 0; i < rest.size(); ++i) {
      const kernels::ActBlock& block = rows.Row(plane, 0)[i / 32];
      rest[i] -= static_cast<double>(block.scale) * block.q[i % 32];
      error = std::max(error, std::abs(rest[i]));
    }
    EXPECT_LT(error, last / 100);
    last = error;
  }
  EXPECT_LT(last, 1e-6);
}

TEST(Linear, ColumnsRoundedInPartsAreTheRow) {
  const kernels::Table& table = *kernels::Available().front();
  for (const int64_t n_cols : {128, 100, 1536, 1000}) {
    const auto x = RandomRows(n_cols);
    const int64_t n_bytes = QuantizedBytes(n_cols, 2);
    auto whole = Aligned<kernels::ActBlock>(n_bytes), parts = Aligned<kernels::ActBlock>(n_bytes);
    std::memset(static_cast<void*>(whole.get()), 0, static_cast<size_t>(n_bytes));
    std::memset(static_cast<void*>(parts.get()), 0, static_cast<size_t>(n_bytes));
    QuantizeRow(table, x.data(), {whole.get(), n_cols, 2}, 1);
    const int64_t borders[] = {0, 32, 96, n_cols};
    for (int i = 2; i >= 0; --i) {
      QuantizeColumns(table, x.data() + borders[i], borders[i], borders[i + 1] - borders[i],
                      {parts.get(), n_cols, 2}, 1);
    }
    EXPECT_EQ(std::memcmp(whole.get(), parts.get(), static_cast<size_t>(n_bytes)), 0) << n_cols;
  }
}

}  // namespace
}  // namespace lamina::tensor
