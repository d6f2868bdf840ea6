// A model's weights in memory: packed matrices, f32 vectors, one stretch of memory or of a file.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "format/model_source.h"
#include "format/packed_file.h"
#include "model/spec.h"
#include "model/weights.h"
#include "tensor/linear.h"

namespace lamina::model {

/// Memory for weights: mapped, zero, huge pages where the system grants them. Moves, does not copy.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();
  /// Errors: kResourceExhausted.
  static Result<Arena> Create(int64_t n_bytes);
  /// The next n_bytes, 64-byte aligned. The caller has added up what it takes.
  uint8_t* Take(int64_t n_bytes);
  /// What Take(n_bytes) uses up.
  static int64_t Rounded(int64_t n_bytes) { return (n_bytes + 63) / 64 * 64; }
  int64_t n_bytes() const { return n_bytes_; }

 private:
  uint8_t* data_ = nullptr;
  int64_t n_bytes_ = 0;
  int64_t n_taken_ = 0;
};

/// Rows that are looked up and never multiplied, in the file's own blocks.
struct RowTable {
  const quant::TypeInfo* type = nullptr;
  int64_t n_cols = 0;
  int64_t row_bytes = 0;
  const uint8_t* data = nullptr;

  void Row(int64_t row, float* out) const {
    type->dequantize(data + row * row_bytes, n_cols / type->block_values, out);
  }
};

struct LayerWeights {
  std::array<tensor::Matrix, kNumMatrixRoles> matrices;    ///< type null = absent.
  std::array<const float*, kNumVectorRoles> vectors = {};  ///< Null = absent.
  std::vector<tensor::Matrix> expert_gate, expert_up, expert_down;

  const tensor::Matrix& operator[](MatrixRole role) const {
    return matrices[static_cast<int>(role)];
  }
  const float* operator[](VectorRole role) const { return vectors[static_cast<int>(role)]; }
  bool Has(MatrixRole role) const { return (*this)[role].type != nullptr; }
};

struct Weights {
  Arena arena;              ///< Where the weights lie,
  format::PackedFile file;  ///< or this, mapped.
  int64_t n_bytes = 0;
  tensor::Matrix head;           ///< [n_vocab, d_model]
  RowTable embedding;            ///< data null = the head's rows are the embedding.
  RowTable per_layer_embedding;  ///< Gemma 4, else data null.
  tensor::Matrix per_layer_projection;
  const float* output_norm = nullptr;
  const float* per_layer_norm = nullptr;
  std::vector<LayerWeights> layers;
  bool has_int8 = false;   ///< Some matrix takes int8 inputs.
  bool has_float = false;  ///< Some matrix takes f32 inputs.
  bool all_f32 = false;    ///< Every matrix is F32.

  /// The embedding of a token, [d_model] f32, not scaled.
  void Embedding(int32_t id, float* out) const {
    if (embedding.data != nullptr) {
      embedding.Row(id, out);
    } else {
      tensor::UnpackRow(head, id, out);
    }
  }
};

/// Checks every tensor of the plan against the spec. Errors: kInvalidArgument names the tensor, its
/// shape and what the configuration asks for.
Result<> CheckPlan(const ModelSpec& spec, const TensorPlan& plan);

/// One stretch of the weights: what it is made of, and where it lies. One of the plans is not null.
struct Piece {
  const MatrixPlan* matrix = nullptr;  ///< Packed into panels.
  const MatrixPlan* table = nullptr;   ///< Rows as they are.
  const VectorPlan* vector = nullptr;  ///< f32.
  int64_t offset = 0;
  int64_t n_bytes = 0;  ///< A multiple of 64.
};

/// Everything that a checked plan consists of, in the order in which a token's computation reads
/// it, whatever the number of threads. Pointers are into the plan.
std::vector<Piece> ListPieces(const TensorPlan& plan);

/// Bytes of the weights of a checked plan.
int64_t WeightBytes(const TensorPlan& plan);

/// Bytes of matrices read for one token: as WeightBytes, but only the experts used.
int64_t WeightBytesPerToken(const ModelSpec& spec, const Weights& weights);

/// Called between pieces while weights are packed, from the loading thread.
using PackingProgress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;

/// Names how the bytes of these pieces are made from the tensors: which values in which order, and
/// each type's packing. Equal content, equal bytes, as long as the model's files are the same.
std::string DescribeContent(const std::vector<Piece>& pieces);

/// Packs the pieces to `data` (64-byte aligned, zero) on all threads. A tensor's pages of the file
/// leave memory once they are packed, so there is one copy of the weights. `written`, if set, is
/// told of each stretch [begin, end) that is final.
void PackPieces(const format::ModelSource& source, const std::vector<Piece>& pieces,
                ThreadPool& pool, uint8_t* data, const PackingProgress& progress,
                const std::function<void(uint64_t begin, uint64_t end)>& written);

/// The weights of a checked plan: mapped from `store` where it has them, else packed, and put there
/// if it takes them. `store` and `progress` may be null. Errors: kResourceExhausted.
Result<Weights> LoadWeights(const format::ModelSource& source, const TensorPlan& plan,
                            ThreadPool& pool, format::PackedStore* store,
                            const PackingProgress& progress);

}  // namespace lamina::model
