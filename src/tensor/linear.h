// Matrix products: packed weights, inputs in the form that their type takes, a thread's panel
// range.
#pragma once

#include <cstdint>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "quant/type.h"

namespace lamina::tensor {

/// A weight matrix in panels of 16 rows: a view, the bytes belong to whoever loaded the model.
/// Output column i is row i of the matrix; the last panel is padded with zero rows.
struct Matrix {
  const quant::TypeInfo* type = nullptr;
  int64_t n_rows = 0;               ///< Outputs.
  int64_t n_cols = 0;               ///< Inputs.
  const uint8_t* panels = nullptr;  ///< n_panels() * panel_bytes bytes, 64-byte aligned.
  int64_t panel_bytes = 0;

  int64_t n_panels() const { return (n_rows + quant::kPanelRows - 1) / quant::kPanelRows; }
  /// Floats of one row of results: whole panels are written.
  int64_t y_stride() const { return n_panels() * quant::kPanelRows; }
};

/// Bytes of the panels of [n_rows, n_cols] weights, a multiple of 64.
int64_t PackedBytes(const quant::TypeInfo& type, int64_t n_rows, int64_t n_cols);

/// Packs row(i) -> blocks of row i, for i in [0, n_rows), into `panels` (PackedBytes, 64-byte
/// aligned) on all threads of the pool. row is called from them and may join or permute tensors;
/// null gives a row of zeros.
Matrix Pack(ThreadPool& pool, const quant::TypeInfo& type, int64_t n_rows, int64_t n_cols,
            FunctionRef<const uint8_t*(int64_t)> row, uint8_t* panels);

/// Row `row` of the matrix as f32 [n_cols]: an embedding.
void UnpackRow(const Matrix& matrix, int64_t row, float* out) noexcept;

/// Int8 planes of a row of n_cols inputs: each plane after the first rounds what the planes before
/// it left. Wide rows average the error of one plane away; in a narrow row it is the result
/// (docs/adr/0002-activations.md).
constexpr int kMaxPlanes = 3;
constexpr int64_t kMaxPlaneCols = 512;
constexpr int PlaneCount(int64_t n_cols) { return n_cols <= kMaxPlaneCols ? kMaxPlanes : 1; }

/// Input rows as int8 blocks: [PlaneCount(n_cols)][capacity_rows][n_blocks()], a view.
struct QuantizedRows {
  kernels::ActBlock* blocks = nullptr;
  int64_t n_cols = 0;
  int64_t capacity_rows = 0;

  int64_t n_blocks() const { return (n_cols + 31) / 32; }
  kernels::ActBlock* Row(int plane, int64_t row) const {
    return blocks + (plane * capacity_rows + row) * n_blocks();
  }
};

/// Bytes of the blocks of QuantizedRows, which must be 64-byte aligned.
int64_t QuantizedBytes(int64_t n_cols, int64_t capacity_rows);

/// Rounds x [n_cols] into all planes of row `row`. Different rows may be written by different
/// threads. x stays as it is.
void QuantizeRow(const kernels::Table& table, const float* x, const QuantizedRows& out,
                 int64_t row) noexcept;

/// Rounds columns [begin, begin + n) of row `row`, given x [n], into all planes; begin is a
/// multiple of 32, and so is n unless the row ends there. Threads may share a row.
void QuantizeColumns(const kernels::Table& table, const float* x, int64_t begin, int64_t n,
                     const QuantizedRows& out, int64_t row) noexcept;

/// Rows of inputs: f32 values for float types, int8 blocks for the others; what the matrix's type
/// does not take may be empty.
struct Inputs {
  int64_t n_rows = 0;
  const float* values = nullptr;  ///< [n_rows][values_stride].
  int64_t values_stride = 0;
  QuantizedRows quantized;
  int64_t first_row = 0;  ///< Row 0 of the inputs is this row of `quantized`.
};

/// y[row, 16 * panel + i] (+)= W x for the panels [panel_begin, panel_end): one thread's part.
/// y rows need matrix.y_stride() floats. `scratch`: kernels::ScratchBytes(n_cols), 64-byte aligned,
/// of this thread alone. Bits depend neither on n_rows nor on the panel range.
void Matmul(const kernels::Table& table, const Matrix& matrix, const Inputs& inputs,
            int64_t panel_begin, int64_t panel_end, float* y, int64_t y_stride, bool accumulate,
            uint8_t* scratch) noexcept;

}  // namespace lamina::tensor
