// From the tensors of a plan to the bytes of its pieces.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/checksum.h"
#include "model/loaded.h"
#include "quant/fingerprint.h"

namespace lamina::model {
namespace {

const uint8_t* SourceRow(const MatrixPlan& plan, int64_t row) {
  const int64_t index = plan.row_order.empty() ? plan.row_begin + row : plan.row_order[row];
  return plan.tensor->data.data() + index * RowBytesOf(*plan.tensor);
}

// The bytes of a float matrix with its columns reordered: rows of the result, one after another.
std::vector<uint8_t> ReorderColumns(const MatrixPlan& plan) {
  const int64_t n_cols = ColsOf(*plan.tensor);
  const int64_t value_bytes = plan.tensor->type->block_bytes;
  std::vector<uint8_t> out(static_cast<size_t>(plan.n_rows * n_cols * value_bytes));
  uint8_t* to = out.data();
  for (int64_t row = 0; row < plan.n_rows; ++row) {
    const uint8_t* from = SourceRow(plan, row);
    for (int64_t col = 0; col < n_cols; ++col, to += value_bytes) {
      std::memcpy(to, from + plan.col_order[col] * value_bytes, static_cast<size_t>(value_bytes));
    }
  }
  return out;
}

// Bytes of the file that are packed before they leave memory.
constexpr int64_t kPackBytes = int64_t{16} << 20;

class Packer {
 public:
  Packer(const format::ModelSource& source, ThreadPool& pool) : source_(source), pool_(pool) {}

  void Pack(const Piece& piece, uint8_t* out) {
    if (piece.matrix != nullptr) PackMatrix(*piece.matrix, out);
    if (piece.table != nullptr) CopyTable(*piece.table, out);
    if (piece.vector != nullptr) CopyVector(*piece.vector, reinterpret_cast<float*>(out));
  }

 private:
  void PackMatrix(const MatrixPlan& plan, uint8_t* panels) {
    const quant::TypeInfo& type = *plan.tensor->type;
    const int64_t n_cols = ColsOf(*plan.tensor), row_bytes = RowBytesOf(*plan.tensor);
    if (!plan.col_order.empty()) {
      const std::vector<uint8_t> rows = ReorderColumns(plan);
      tensor::Pack(
          pool_, type, plan.n_rows, n_cols,
          [&](int64_t row) { return rows.data() + row * row_bytes; }, panels);
      Drop(*plan.tensor, 0, plan.tensor->data.size());
      return;
    }
    // Some rows after the others, so that a huge embedding is never in memory twice.
    const int64_t panel_bytes = type.panel_bytes(n_cols);
    const int64_t n_panels_at_once =
        std::max<int64_t>(1, kPackBytes / (row_bytes * quant::kPanelRows));
    const int64_t n_rows_at_once = n_panels_at_once * quant::kPanelRows;
    for (int64_t begin = 0; begin < plan.n_rows; begin += n_rows_at_once) {
      const int64_t n = std::min(n_rows_at_once, plan.n_rows - begin);
      tensor::Pack(
          pool_, type, n, n_cols, [&](int64_t row) { return SourceRow(plan, begin + row); },
          panels + begin / quant::kPanelRows * panel_bytes);
      if (plan.row_order.empty()) {
        Drop(*plan.tensor, static_cast<uint64_t>((plan.row_begin + begin) * row_bytes),
             static_cast<uint64_t>(n * row_bytes));
      }
    }
    if (!plan.row_order.empty()) Drop(*plan.tensor, 0, plan.tensor->data.size());
  }

  void CopyTable(const MatrixPlan& plan, uint8_t* out) {
    const int64_t row_bytes = RowBytesOf(*plan.tensor);
    pool_.Run([&](int thread) {
      const Range range = SplitRange(plan.n_rows, thread, pool_.n_threads());
      for (int64_t row = range.begin; row < range.end; ++row) {
        std::memcpy(out + row * row_bytes, SourceRow(plan, row), static_cast<size_t>(row_bytes));
      }
    });
    Drop(*plan.tensor, 0, plan.tensor->data.size());
  }

  static void CopyVector(const VectorPlan& plan, float* out) {
    const quant::TypeInfo& type = *plan.tensor->type;
    int64_t n_all = 1;
    for (const int64_t size : plan.tensor->shape) n_all *= size;
    std::vector<float> all(static_cast<size_t>(n_all));
    type.dequantize(plan.tensor->data.data(), n_all / type.block_values, all.data());
    int64_t n = plan.n_values > 0 ? plan.n_values : n_all - plan.begin;
    if (!plan.order.empty()) n = static_cast<int64_t>(plan.order.size());
    for (int64_t i = 0; i < n; ++i) {
      const float x = all[plan.begin + (plan.order.empty() ? i : plan.order[i])];
      switch (plan.transform) {
        case VectorPlan::Transform::kNone:
          out[i] = x;
          break;
        case VectorPlan::Transform::kPlusOne:
          out[i] = 1.0f + x;
          break;
        case VectorPlan::Transform::kNegativeExp:
          out[i] = -std::exp(x);
          break;
      }
    }
  }

  void Drop(const format::Tensor& tensor, uint64_t begin, uint64_t n_bytes) {
    source_.file(tensor.file).DropPages(tensor.offset + begin, n_bytes);
  }

  const format::ModelSource& source_;
  ThreadPool& pool_;
};

// What goes into the description of a content: numbers and orders, as bytes.
class Description {
 public:
  void Add(int64_t value) { Add(&value, sizeof value); }
  void Add(const std::vector<int32_t>& order) {
    Add(static_cast<int64_t>(order.size()));
    Add(order.data(), order.size() * sizeof(int32_t));
  }
  void Add(const format::Tensor& tensor) {
    Add(tensor.file);
    Add(static_cast<int64_t>(tensor.offset));
    Add(tensor.type->ggml_id);
    for (const int64_t size : tensor.shape) Add(size);
  }
  void Add(const MatrixPlan& plan) {
    Add(*plan.tensor);
    Add(plan.row_begin);
    Add(plan.n_rows);
    Add(plan.row_order);
    Add(plan.col_order);
  }
  uint64_t Sum() const { return Checksum(bytes_); }

 private:
  void Add(const void* data, size_t n_bytes) {
    const auto* begin = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), begin, begin + n_bytes);
  }
  std::vector<uint8_t> bytes_;
};

const format::Tensor& TensorOf(const Piece& piece) {
  if (piece.vector != nullptr) return *piece.vector->tensor;
  return *(piece.matrix != nullptr ? piece.matrix : piece.table)->tensor;
}

}  // namespace

std::string DescribeContent(const std::vector<Piece>& pieces) {
  Description description;
  std::map<std::string_view, uint64_t> packings;
  for (const Piece& piece : pieces) {
    description.Add(piece.n_bytes);
    if (piece.matrix != nullptr) {
      const quant::TypeInfo& type = *piece.matrix->tensor->type;
      if (!packings.contains(type.name)) packings[type.name] = quant::PackingFingerprint(type);
      description.Add('m');
      description.Add(*piece.matrix);
    } else if (piece.table != nullptr) {
      description.Add('t');
      description.Add(*piece.table);
    } else {
      description.Add('v');
      description.Add(*piece.vector->tensor);
      description.Add(static_cast<int64_t>(piece.vector->transform));
      description.Add(piece.vector->begin);
      description.Add(piece.vector->n_values);
      description.Add(piece.vector->order);
    }
  }
  std::string content = fmt::format("plan {:016x}", description.Sum());
  for (const auto& [name, fingerprint] : packings) {
    content += fmt::format(" {} {:016x}", name, fingerprint);
  }
  return content;
}

void PackPieces(const format::ModelSource& source, const std::vector<Piece>& pieces,
                ThreadPool& pool, uint8_t* data, const PackingProgress& progress,
                const std::function<void(uint64_t begin, uint64_t end)>& written) {
  if (pieces.empty()) return;
  Packer packer(source, pool);
  const auto total_bytes = static_cast<uint64_t>(pieces.back().offset + pieces.back().n_bytes);
  uint64_t n_written = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    // The disk reads the next tensor while this one is packed.
    if (i + 1 < pieces.size()) {
      const format::Tensor& next = TensorOf(pieces[i + 1]);
      source.file(next.file).WillNeed(
          next.offset, std::min<uint64_t>(next.data.size(), static_cast<uint64_t>(kPackBytes)));
    }
    packer.Pack(pieces[i], data + pieces[i].offset);
    const auto end = static_cast<uint64_t>(pieces[i].offset + pieces[i].n_bytes);
    if (end - n_written < static_cast<uint64_t>(kPackBytes) && end < total_bytes) continue;
    if (written) written(n_written, end);
    if (progress) progress(end, total_bytes);
    n_written = end;
  }
}

}  // namespace lamina::model
