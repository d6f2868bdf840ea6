#include "tensor/linear.h"

#include <cstring>

namespace lamina::tensor {
namespace {

// F32 matrices of so few rows (routers, the gates of small delta-nets) are multiplied as the
// reference's library does it: four sums over every fourth input, without FMA. An output of theirs
// decides between experts or is the exponent of a decay, so that its last bits show in the logits.
constexpr int64_t kMinNarrowRows = 4;
constexpr int64_t kMaxNarrowRows = 11;

bool IsNarrow(const Matrix& matrix) {
  return matrix.n_rows >= kMinNarrowRows && matrix.n_rows <= kMaxNarrowRows &&
         matrix.type->name == "F32";
}

void NarrowMatmul(const kernels::MatmulArgs& args) noexcept {
  for (int64_t row = 0; row < args.n_rows; ++row) {
    const float* x = args.x_f32 + row * args.x_stride;
    float sums[4][quant::kPanelRows] = {};
    for (int64_t k = 0; k < args.n_cols; ++k) {
      float weights[quant::kPanelRows];
      std::memcpy(weights, args.panels + k * static_cast<int64_t>(sizeof(weights)),
                  sizeof(weights));
      for (int i = 0; i < quant::kPanelRows; ++i) sums[k % 4][i] += x[k] * weights[i];
    }
    float* y = args.y + row * args.y_stride;
    for (int i = 0; i < quant::kPanelRows; ++i) {
      const float sum = (sums[0][i] + sums[2][i]) + (sums[1][i] + sums[3][i]);
      y[i] = args.accumulate ? y[i] + sum : sum;
    }
  }
}

}  // namespace

int64_t PackedBytes(const quant::TypeInfo& type, int64_t n_rows, int64_t n_cols) {
  return (n_rows + quant::kPanelRows - 1) / quant::kPanelRows * type.panel_bytes(n_cols);
}

Matrix Pack(ThreadPool& pool, const quant::TypeInfo& type, int64_t n_rows, int64_t n_cols,
            FunctionRef<const uint8_t*(int64_t)> row, uint8_t* panels) {
  Matrix matrix{&type, n_rows, n_cols, panels, type.panel_bytes(n_cols)};
  pool.Run([&](int thread) {
    const Range range = SplitRange(matrix.n_panels(), thread, pool.n_threads());
    for (int64_t panel = range.begin; panel < range.end; ++panel) {
      const uint8_t* rows[quant::kPanelRows];
      for (int i = 0; i < quant::kPanelRows; ++i) {
        const int64_t index = panel * quant::kPanelRows + i;
        rows[i] = index < n_rows ? row(index) : nullptr;
      }
      type.pack_panel(rows, n_cols, panels + panel * matrix.panel_bytes);
    }
  });
  return matrix;
}

void UnpackRow(const Matrix& matrix, int64_t row, float* out) noexcept {
  const int64_t panel = row / quant::kPanelRows;
  matrix.type->unpack_row(matrix.panels + panel * matrix.panel_bytes,
                          static_cast<int>(row % quant::kPanelRows), matrix.n_cols, out);
}

int64_t QuantizedBytes(int64_t n_cols, int64_t capacity_rows) {
  return PlaneCount(n_cols) * capacity_rows * ((n_cols + 31) / 32) *
         static_cast<int64_t>(sizeof(kernels::ActBlock));
}

void QuantizeRow(const kernels::Table& table, const float* x, const QuantizedRows& out,
                 int64_t row) noexcept {
  QuantizeColumns(table, x, 0, out.n_cols, out, row);
}

void QuantizeColumns(const kernels::Table& table, const float* x, int64_t begin, int64_t n,
                     const QuantizedRows& out, int64_t row) noexcept {
  const int n_planes = PlaneCount(out.n_cols);
  const int64_t first_block = begin / 32;
  if (n_planes == 1) {
    table.vector.quantize_row(x, n, out.Row(0, row) + first_block, nullptr);
    return;
  }
  float residual[kMaxPlaneCols];
  for (int plane = 0; plane < n_planes; ++plane) {
    table.vector.quantize_row(plane == 0 ? x : residual, n, out.Row(plane, row) + first_block,
                              plane + 1 < n_planes ? residual : nullptr);
  }
}

void Matmul(const kernels::Table& table, const Matrix& matrix, const Inputs& inputs,
            int64_t panel_begin, int64_t panel_end, float* y, int64_t y_stride, bool accumulate,
            uint8_t* scratch) noexcept {
  const kernels::MatmulFn matmul = table.matmul[quant::IndexOf(*matrix.type)];
  kernels::MatmulArgs args{};
  args.panels = matrix.panels;
  args.panel_bytes = matrix.panel_bytes;
  args.n_cols = matrix.n_cols;
  args.panel_begin = panel_begin;
  args.panel_end = panel_end;
  args.n_rows = inputs.n_rows;
  args.y = y;
  args.y_stride = y_stride;
  args.accumulate = accumulate;
  args.scratch = scratch;
  if (matrix.type->is_float) {
    args.x_f32 = inputs.values;
    args.x_stride = inputs.values_stride;
    if (panel_begin < panel_end && IsNarrow(matrix)) return NarrowMatmul(args);
    matmul(args);
    return;
  }
  args.x_stride = inputs.quantized.n_blocks();
  for (int plane = 0; plane < PlaneCount(matrix.n_cols); ++plane) {
    args.x_int8 = inputs.quantized.Row(plane, inputs.first_row);
    matmul(args);
    args.accumulate = true;
  }
}

}  // namespace lamina::tensor
