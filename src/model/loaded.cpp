#include "model/loaded.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace lamina::model {
namespace {

int64_t Cols(const format::Tensor& tensor) {
  return tensor.shape.empty() ? 1 : tensor.shape.back();
}

int64_t RowBytes(const format::Tensor& tensor) {
  return Cols(tensor) / tensor.type->block_values * tensor.type->block_bytes;
}

int64_t NumValues(const format::Tensor& tensor) {
  int64_t n = 1;
  for (const int64_t size : tensor.shape) n *= size;
  return n;
}

int64_t NumValues(const VectorPlan& plan) {
  if (!plan.order.empty()) return static_cast<int64_t>(plan.order.size());
  return plan.n_values > 0 ? plan.n_values : NumValues(*plan.tensor) - plan.begin;
}

int64_t MatrixBytes(const MatrixPlan& plan) {
  if (plan.tensor == nullptr) return 0;
  return Arena::Rounded(tensor::PackedBytes(*plan.tensor->type, plan.n_rows, Cols(*plan.tensor)));
}

int64_t VectorBytes(const VectorPlan& plan) {
  if (plan.tensor == nullptr) return 0;
  return Arena::Rounded(NumValues(plan) * static_cast<int64_t>(sizeof(float)));
}

int64_t TableBytes(const MatrixPlan& plan) {
  if (plan.tensor == nullptr) return 0;
  return Arena::Rounded(plan.n_rows * RowBytes(*plan.tensor));
}

const uint8_t* SourceRow(const MatrixPlan& plan, int64_t row) {
  const int64_t index = plan.row_order.empty() ? plan.row_begin + row : plan.row_order[row];
  return plan.tensor->data.data() + index * RowBytes(*plan.tensor);
}

// The bytes of a float matrix with its columns reordered: rows of the result, one after another.
std::vector<uint8_t> ReorderColumns(const MatrixPlan& plan) {
  const int64_t n_cols = Cols(*plan.tensor);
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

class Loader {
 public:
  Loader(const format::ModelSource& source, ThreadPool& pool, Weights* weights)
      : source_(source), pool_(pool), weights_(*weights) {
    weights_.all_f32 = true;
  }

  tensor::Matrix Load(const MatrixPlan& plan) {
    if (plan.tensor == nullptr) return {};
    const quant::TypeInfo& type = *plan.tensor->type;
    (type.is_float ? weights_.has_float : weights_.has_int8) = true;
    if (type.name != "F32") weights_.all_f32 = false;
    const int64_t n_cols = Cols(*plan.tensor);
    uint8_t* panels = weights_.arena.Take(tensor::PackedBytes(type, plan.n_rows, n_cols));
    tensor::Matrix matrix;
    if (plan.col_order.empty()) {
      matrix = LoadRows(plan, panels);
    } else {
      const std::vector<uint8_t> rows = ReorderColumns(plan);
      const int64_t row_bytes = RowBytes(*plan.tensor);
      matrix = tensor::Pack(
          pool_, type, plan.n_rows, n_cols,
          [&](int64_t row) { return rows.data() + row * row_bytes; }, panels);
    }
    Drop(*plan.tensor, 0, plan.tensor->data.size());
    return matrix;
  }

  std::vector<tensor::Matrix> Load(const std::vector<MatrixPlan>& plans) {
    std::vector<tensor::Matrix> out;
    out.reserve(plans.size());
    for (const MatrixPlan& plan : plans) out.push_back(Load(plan));
    return out;
  }

  RowTable LoadTable(const MatrixPlan& plan) {
    if (plan.tensor == nullptr) return {};
    if (plan.tensor->type->name != "F32") weights_.all_f32 = false;
    RowTable table{plan.tensor->type, Cols(*plan.tensor), RowBytes(*plan.tensor), nullptr};
    uint8_t* data = weights_.arena.Take(plan.n_rows * table.row_bytes);
    pool_.Run([&](int thread) {
      const Range range = SplitRange(plan.n_rows, thread, pool_.n_threads());
      for (int64_t row = range.begin; row < range.end; ++row) {
        std::memcpy(data + row * table.row_bytes, SourceRow(plan, row),
                    static_cast<size_t>(table.row_bytes));
      }
    });
    table.data = data;
    Drop(*plan.tensor, 0, plan.tensor->data.size());
    return table;
  }

  const float* Load(const VectorPlan& plan) {
    if (plan.tensor == nullptr) return nullptr;
    const quant::TypeInfo& type = *plan.tensor->type;
    std::vector<float> all(static_cast<size_t>(NumValues(*plan.tensor)));
    type.dequantize(plan.tensor->data.data(), static_cast<int64_t>(all.size()) / type.block_values,
                    all.data());
    const int64_t n = NumValues(plan);
    auto* out =
        reinterpret_cast<float*>(weights_.arena.Take(n * static_cast<int64_t>(sizeof(float))));
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
    return out;
  }

 private:
  // Packs a part of the rows after the other, so that a huge embedding is never in memory twice.
  tensor::Matrix LoadRows(const MatrixPlan& plan, uint8_t* panels) {
    const quant::TypeInfo& type = *plan.tensor->type;
    const int64_t n_cols = Cols(*plan.tensor), row_bytes = RowBytes(*plan.tensor);
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
        Drop(*plan.tensor, (plan.row_begin + begin) * row_bytes, n * row_bytes);
      }
    }
    return {&type, plan.n_rows, n_cols, panels, panel_bytes};
  }

  void Drop(const format::Tensor& tensor, uint64_t begin, uint64_t n_bytes) {
    source_.file(tensor.file).DropPages(tensor.offset + begin, n_bytes);
  }

  const format::ModelSource& source_;
  ThreadPool& pool_;
  Weights& weights_;
};

}  // namespace

Result<Arena> Arena::Create(int64_t n_bytes) {
  void* data = mmap(nullptr, static_cast<size_t>(n_bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return Error(Code::kResourceExhausted, "cannot map {} bytes for the weights", n_bytes);
  }
  madvise(data, static_cast<size_t>(n_bytes), MADV_HUGEPAGE);  // Best effort.
  Arena arena;
  arena.data_ = static_cast<uint8_t*>(data);
  arena.n_bytes_ = n_bytes;
  return arena;
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      n_bytes_(std::exchange(other.n_bytes_, 0)),
      n_taken_(std::exchange(other.n_taken_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(n_bytes_, other.n_bytes_);
  std::swap(n_taken_, other.n_taken_);
  return *this;
}

Arena::~Arena() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(n_bytes_));
}

uint8_t* Arena::Take(int64_t n_bytes) {
  uint8_t* out = data_ + n_taken_;
  n_taken_ += Rounded(n_bytes);
  return out;
}

int64_t WeightBytes(const TensorPlan& plan) {
  int64_t bytes = plan.head.tensor == nullptr ? MatrixBytes(plan.embedding)
                                              : MatrixBytes(plan.head) + TableBytes(plan.embedding);
  bytes += VectorBytes(plan.output_norm) + TableBytes(plan.per_layer_embedding) +
           MatrixBytes(plan.per_layer_projection) + VectorBytes(plan.per_layer_norm);
  for (const LayerPlan& layer : plan.layers) {
    for (const MatrixPlan& matrix : layer.matrices) bytes += MatrixBytes(matrix);
    for (const VectorPlan& vector : layer.vectors) bytes += VectorBytes(vector);
    for (const auto* experts : {&layer.expert_gate, &layer.expert_up, &layer.expert_down}) {
      for (const MatrixPlan& matrix : *experts) bytes += MatrixBytes(matrix);
    }
  }
  return bytes;
}

int64_t WeightBytesPerToken(const ModelSpec& spec, const Weights& weights) {
  const auto bytes_of = [](const tensor::Matrix& m) { return m.n_panels() * m.panel_bytes; };
  int64_t bytes = bytes_of(weights.head) + bytes_of(weights.per_layer_projection);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const LayerWeights& layer = weights.layers[i];
    for (const tensor::Matrix& matrix : layer.matrices) bytes += bytes_of(matrix);
    int64_t expert_bytes = 0;
    for (const auto* experts : {&layer.expert_gate, &layer.expert_up, &layer.expert_down}) {
      for (const tensor::Matrix& matrix : *experts) expert_bytes += bytes_of(matrix);
    }
    if (expert_bytes > 0) {
      bytes += expert_bytes * spec.layers[i].n_experts_used / spec.layers[i].n_experts;
    }
  }
  return bytes;
}

Result<Weights> LoadWeights(const format::ModelSource& source, const TensorPlan& plan,
                            ThreadPool& pool) {
  Weights weights;
  weights.arena = TRY(Arena::Create(WeightBytes(plan)));
  Loader loader(source, pool, &weights);
  for (const LayerPlan& layer : plan.layers) {
    LayerWeights& out = weights.layers.emplace_back();
    for (int i = 0; i < kNumVectorRoles; ++i) out.vectors[i] = loader.Load(layer.vectors[i]);
    // MatrixRole's order is the order in which a layer reads them.
    for (int i = 0; i < kNumMatrixRoles; ++i) out.matrices[i] = loader.Load(layer.matrices[i]);
    out.expert_gate = loader.Load(layer.expert_gate);
    out.expert_up = loader.Load(layer.expert_up);
    out.expert_down = loader.Load(layer.expert_down);
  }
  weights.output_norm = loader.Load(plan.output_norm);
  const bool tied = plan.head.tensor == nullptr;
  weights.head = loader.Load(tied ? plan.embedding : plan.head);
  if (!tied) weights.embedding = loader.LoadTable(plan.embedding);
  weights.per_layer_embedding = loader.LoadTable(plan.per_layer_embedding);
  weights.per_layer_projection = loader.Load(plan.per_layer_projection);
  weights.per_layer_norm = loader.Load(plan.per_layer_norm);
  return weights;
}

}  // namespace lamina::model
