#include "model/loaded.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

namespace lamina::model {
namespace {

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
  return Arena::Rounded(tensor::PackedBytes(*plan.tensor->type, plan.n_rows, ColsOf(*plan.tensor)));
}

int64_t VectorBytes(const VectorPlan& plan) {
  if (plan.tensor == nullptr) return 0;
  return Arena::Rounded(NumValues(plan) * static_cast<int64_t>(sizeof(float)));
}

int64_t TableBytes(const MatrixPlan& plan) {
  if (plan.tensor == nullptr) return 0;
  return Arena::Rounded(plan.n_rows * RowBytesOf(*plan.tensor));
}

// Walks a plan in the order of consumption: lists its pieces, and points `weights` at them.
class Binder {
 public:
  // `data` null: only the list is wanted.
  Binder(const uint8_t* data, Weights* weights, std::vector<Piece>* pieces)
      : data_(data), weights_(*weights), pieces_(*pieces) {
    weights_.all_f32 = true;
  }

  void Bind(const TensorPlan& plan) {
    for (const LayerPlan& layer : plan.layers) {
      LayerWeights& out = weights_.layers.emplace_back();
      for (int i = 0; i < kNumVectorRoles; ++i) out.vectors[i] = Vector(layer.vectors[i]);
      // MatrixRole's order is the order in which a layer reads them.
      for (int i = 0; i < kNumMatrixRoles; ++i) out.matrices[i] = Matrix(layer.matrices[i]);
      out.expert_gate = Matrices(layer.expert_gate);
      out.expert_up = Matrices(layer.expert_up);
      out.expert_down = Matrices(layer.expert_down);
    }
    weights_.output_norm = Vector(plan.output_norm);
    const bool tied = plan.head.tensor == nullptr;
    weights_.head = Matrix(tied ? plan.embedding : plan.head);
    if (!tied) weights_.embedding = Table(plan.embedding);
    weights_.per_layer_embedding = Table(plan.per_layer_embedding);
    weights_.per_layer_projection = Matrix(plan.per_layer_projection);
    weights_.per_layer_norm = Vector(plan.per_layer_norm);
    weights_.n_bytes = offset_;
  }

 private:
  tensor::Matrix Matrix(const MatrixPlan& plan) {
    if (plan.tensor == nullptr) return {};
    const quant::TypeInfo& type = *plan.tensor->type;
    (type.is_float ? weights_.has_float : weights_.has_int8) = true;
    if (type.name != "F32") weights_.all_f32 = false;
    const int64_t n_cols = ColsOf(*plan.tensor);
    const uint8_t* panels = Take({.matrix = &plan}, MatrixBytes(plan));
    return {&type, plan.n_rows, n_cols, panels, type.panel_bytes(n_cols)};
  }

  std::vector<tensor::Matrix> Matrices(const std::vector<MatrixPlan>& plans) {
    std::vector<tensor::Matrix> out;
    out.reserve(plans.size());
    for (const MatrixPlan& plan : plans) out.push_back(Matrix(plan));
    return out;
  }

  RowTable Table(const MatrixPlan& plan) {
    if (plan.tensor == nullptr) return {};
    if (plan.tensor->type->name != "F32") weights_.all_f32 = false;
    const uint8_t* rows = Take({.table = &plan}, TableBytes(plan));
    return {plan.tensor->type, ColsOf(*plan.tensor), RowBytesOf(*plan.tensor), rows};
  }

  const float* Vector(const VectorPlan& plan) {
    if (plan.tensor == nullptr) return nullptr;
    return reinterpret_cast<const float*>(Take({.vector = &plan}, VectorBytes(plan)));
  }

  const uint8_t* Take(Piece piece, int64_t n_bytes) {
    piece.offset = offset_;
    piece.n_bytes = n_bytes;
    offset_ += n_bytes;
    pieces_.push_back(piece);
    return data_ == nullptr ? nullptr : data_ + piece.offset;
  }

  const uint8_t* data_;
  int64_t offset_ = 0;
  Weights& weights_;
  std::vector<Piece>& pieces_;
};

Weights BindTo(const TensorPlan& plan, const uint8_t* data) {
  Weights weights;
  std::vector<Piece> pieces;
  Binder(data, &weights, &pieces).Bind(plan);
  return weights;
}

// A file whose pieces are not the plan's was not made by this program, whatever its key says.
bool Fits(const std::vector<Piece>& pieces, const format::PackedHeader& header) {
  return std::equal(pieces.begin(), pieces.end(), header.pieces.begin(), header.pieces.end(),
                    [](const Piece& piece, const format::PackedPiece& stored) {
                      return static_cast<uint64_t>(piece.n_bytes) == stored.n_bytes;
                    });
}

// The packed weights in the store, from before or made now. Errors: it cannot keep them.
Result<format::PackedFile> FileOf(const format::ModelSource& source,
                                  const std::vector<Piece>& pieces, ThreadPool& pool,
                                  format::PackedStore& store, const PackingProgress& progress) {
  const std::string content = DescribeContent(pieces);
  auto found = store.Open(source, content);
  if (found && Fits(pieces, found->header())) return found;
  std::vector<format::PackedPiece> sizes;
  sizes.reserve(pieces.size());
  for (const Piece& piece : pieces) sizes.push_back({static_cast<uint64_t>(piece.n_bytes), 0});
  format::PackedWriter writer = TRY(store.Create(source, content, std::move(sizes)));
  PackPieces(source, pieces, pool, writer.data(), progress,
             [&](uint64_t begin, uint64_t end) { writer.Flush(begin, end); });
  format::PackedFile file = TRY(store.Finish(std::move(writer), pool));
  if (!Fits(pieces, file.header())) return Error(Code::kDataLoss, "packed weights: other pieces");
  return file;
}

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

std::vector<Piece> ListPieces(const TensorPlan& plan) {
  Weights weights;
  std::vector<Piece> pieces;
  Binder(nullptr, &weights, &pieces).Bind(plan);
  return pieces;
}

int64_t WeightBytes(const TensorPlan& plan) { return BindTo(plan, nullptr).n_bytes; }

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
                            ThreadPool& pool, format::PackedStore* store,
                            const PackingProgress& progress) {
  const std::vector<Piece> pieces = ListPieces(plan);
  // What was read of the files, their headers included, is not needed again.
  const auto drop_files = [&] {
    for (size_t i = 0; i < source.file_paths().size(); ++i) {
      const MappedFile& file = source.file(static_cast<int>(i));
      file.DropPages(0, file.bytes().size());
    }
  };
  if (store != nullptr) {
    // What the store cannot keep is packed into memory; the store remembers why.
    if (auto file = FileOf(source, pieces, pool, *store, progress)) {
      Weights weights = BindTo(plan, file->data());
      weights.file = std::move(*file);
      drop_files();
      return weights;
    }
  }
  Arena arena = TRY(Arena::Create(WeightBytes(plan)));
  uint8_t* data = arena.Take(arena.n_bytes());
  PackPieces(source, pieces, pool, data, progress, nullptr);
  Weights weights = BindTo(plan, data);
  weights.arena = std::move(arena);
  drop_files();
  return weights;
}

}  // namespace lamina::model
