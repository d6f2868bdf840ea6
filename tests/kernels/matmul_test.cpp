// Matrix products: the scalar table against double precision, every other against scalar.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/dispatch.h"
#include "matmul_cases.h"

namespace lamina::kernels {
namespace {

const Table& Scalar() { return *Select("scalar").value(); }

TEST(Matmul, ScalarIsCloseToDoublePrecision) {
  for (const quant::TypeInfo& type : quant::Types()) {
    for (int64_t n_cols : {32, 96, 256, 576, 768}) {
      if (n_cols % type.block_values != 0) continue;
      const int64_t n_outputs = 19, n_rows = 6;
      const Matrix w(type, n_outputs, n_cols, Fill::kModerate, 11);
      const Inputs x(n_rows, n_cols, false, 12);
      const int64_t stride = w.n_panels * quant::kPanelRows;
      std::vector<float> y(size_t(n_rows * stride));
      RunMatmul(Scalar(), w, x, n_rows, y.data(), false, 0, w.n_panels);
      std::vector<float> weights(static_cast<size_t>(n_cols));
      for (int64_t n = 0; n < n_outputs; ++n) {
        type.dequantize(&w.rows[size_t(n * w.row_bytes)], n_cols / type.block_values,
                        weights.data());
        for (int64_t row = 0; row < n_rows; ++row) {
          double sum = 0, magnitude = 0;
          for (int64_t k = 0; k < n_cols; ++k) {
            const double product =
                double(weights[size_t(k)]) * x.values[size_t(row * x.n_blocks * 32 + k)];
            sum += product;
            magnitude += std::fabs(product);
          }
          // Minima and biases are summed apart from the rest, so the bound is on magnitudes; 64
          // allows for their size against the weights' own.
          EXPECT_NEAR(y[size_t(row * stride + n)], sum, 64 * 6e-8 * magnitude + 1e-30)
              << type.name << " n_cols " << n_cols << " row " << row << " output " << n;
        }
      }
    }
  }
}

class EveryTable : public testing::TestWithParam<const Table*> {};

TEST_P(EveryTable, EqualsScalarOnRaggedShapes) {
  for (const quant::TypeInfo& type : quant::Types()) {
    std::vector<int64_t> row_counts;
    for (int64_t n = 1; n <= 20; ++n) row_counts.push_back(n);
    row_counts.push_back(33);
    for (int64_t n_cols : {32, 96, 256, 576, 768}) {
      if (n_cols % type.block_values != 0) continue;
      for (int64_t n_outputs : {1, 15, 16, 17, 100}) {
        if (n_outputs == 100 && n_cols > 256) continue;
        ExpectEqualTables(*GetParam(), Scalar(), type, n_outputs, n_cols, row_counts,
                          Fill::kModerate, false);
        if (HasFatalFailure()) return;
      }
    }
    if (type.is_float) {
      for (int64_t n_cols : {1, 7, 33}) {
        ExpectEqualTables(*GetParam(), Scalar(), type, 17, n_cols, row_counts, Fill::kModerate,
                          false);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(EveryTable, EqualsScalarOnExtremes) {
  for (const quant::TypeInfo& type : quant::Types()) {
    for (Fill fill : {Fill::kOnes, Fill::kAny}) {
      ExpectEqualTables(*GetParam(), Scalar(), type, 64, 768, {1, 2, 3, 4, 5, 16}, fill, true);
      if (HasFatalFailure()) return;
    }
  }
}

std::string TableName(const testing::TestParamInfo<const Table*>& info) { return info.param->isa; }
INSTANTIATE_TEST_SUITE_P(Isa, EveryTable, testing::ValuesIn(Available().begin(), Available().end()),
                         TableName);

}  // namespace
}  // namespace lamina::kernels
