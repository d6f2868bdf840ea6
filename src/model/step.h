// One step of the forward pass as its threads see it: rows, buffers, and how work is shared.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "model/loaded.h"
#include "model/profile.h"
#include "model/rope.h"
#include "model/sequence.h"
#include "model/spec.h"
#include "tensor/linear.h"

namespace lamina::model {

/// Up to this many rows, every thread prepares the inputs of a product for all rows by itself
/// (norm, quantization), in buffers of its own: cheaper than one more barrier.
inline constexpr int64_t kFewRows = 4;
/// Most rows that are computed at once; longer steps are cut.
inline constexpr int64_t kMaxRows = 512;
/// Steps of up to so many rows of a sequence give each row the bits of decode.
inline constexpr int64_t kMaxExactRows = 16;
/// Most experts of a layer.
inline constexpr int kMaxExperts = 1024;

/// Consecutive rows of one sequence.
struct Segment {
  SequenceState* sequence;
  int64_t first_row;       ///< Among the rows that are computed now.
  int64_t n_rows;          ///< May be 0.
  int64_t first_position;  ///< Of first_row in the sequence.
  int64_t step_row;        ///< Of first_row among all rows of the step.
  bool may_round = false;  ///< More than kMaxExactRows in the step, wanted or not.
};

/// Shared buffers of a layer, [rows][slot_stride] f32; what each holds is the layer's affair.
inline constexpr int kNumSlots = 5;
using SlotWidths = std::array<int64_t, kNumSlots>;
/// Floats per row that a layer's mixer and feed-forward network write into each slot.
SlotWidths LayerSlotWidths(const ModelSpec& spec, const LayerSpec& layer);

/// Most consecutive rows that one call of the attention kernel takes.
int64_t AttentionTokens(const LayerSpec& layer);

/// Sizes of everything a step needs, from the spec alone.
struct StepSizes {
  int64_t d_model = 0;
  SlotWidths slots = {};
  int64_t max_cols = 0;  ///< Widest input of any product.
  int64_t n_pairs = 0;   ///< Experts per row; 0 = there are none.
  int64_t n_angles = 0;  ///< Cosines (and as many sines) per row, of all ropes.
  int64_t n_per_layer = 0;
  int64_t kernel_scratch_bytes = 0;
};
StepSizes MeasureStep(const ModelSpec& spec);

/// Inputs of products: f32 values and int8 blocks.
struct InputBuffer {
  float* values = nullptr;
  kernels::ActBlock* blocks = nullptr;
  int64_t capacity_rows = 0;
};

/// The buffers of a step. One step at a time uses a workspace.
class Workspace {
 public:
  static int64_t Bytes(const StepSizes& sizes, int64_t n_rows, int n_threads);
  /// Errors: kResourceExhausted.
  static Result<std::unique_ptr<Workspace>> Create(const StepSizes& sizes, int64_t n_rows,
                                                   int n_threads);
  int64_t capacity_rows() const { return capacity_rows_; }
  int n_threads() const { return static_cast<int>(threads.size()); }

  struct PerThread {
    float* x;            ///< [kFewRows][d_model]
    float* row;          ///< One input row, [max_cols].
    uint8_t* scratch;    ///< Of kernels.
    float* logits_tail;  ///< [rows][16]
    InputBuffer inputs[2];
    int32_t* experts;       ///< [2][rows * n_pairs]: see experts.cpp.
    float* expert_weights;  ///< [rows * n_pairs]
  };
  float* x;  ///< [rows][d_model]: the residual stream.
  float* y;  ///< [rows][y_stride]: what is added to it next.
  int64_t y_stride;
  std::array<float*, kNumSlots> slots;
  SlotWidths slot_strides;
  float* cos;  ///< [rows][n_angles]
  float* sin;
  float* per_layer;  ///< [rows][n_per_layer] (Gemma 4).
  int64_t per_layer_stride;
  InputBuffer inputs[2];
  InputBuffer joined;  ///< Blocks only: rows that several threads rounded, see RoundColumns.
  std::vector<PerThread> threads;

 private:
  Arena arena_;
  int64_t capacity_rows_ = 0;
};

/// What the threads of one step share.
struct Step {
  const ModelSpec* spec;
  const Weights* weights;
  const kernels::Table* table;
  kernels::KvType kv_type;
  std::span<const RopeTable> ropes;
  std::span<const int64_t> rope_offsets;  ///< Of each rope among a row's angles.
  int64_t n_angles;
  int last_state_layer;  ///< The last layer that stores anything in the sequences.
  ThreadPool* pool;
  Workspace* workspace;
  std::span<const Segment> segments;
  std::span<const Segment> wanted;  ///< The same, cut to the rows whose logits are asked for.
  std::span<const int32_t> ids;     ///< [rows]
  int64_t n_wanted;
  float* logits;  ///< [n_wanted][n_vocab]
  const std::atomic<bool>* cancel;
  Profile::Lane* lanes = nullptr;  ///< [n_threads], or null: see profile.h.
  bool stop = false;               ///< Written by thread 0 between barriers.
};

/// One product of a phase: y [n_rows][y_stride] = W x.
struct Product {
  const tensor::Matrix* matrix;  ///< type null: nothing is done.
  float* y;
  int64_t y_stride;
};

/// One thread's view of a step. All threads make the same calls in the same order. Between writing
/// a shared buffer and reading others' parts of it lies a Barrier.
class Worker {
 public:
  Worker(Step& step, int thread);
  ~Worker() { Enter(Operation::kBarrier); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Step& step;
  const ModelSpec& spec;
  const kernels::VectorKernels& vector;
  const int thread;
  const int n_threads;

  int64_t n_rows() const { return n_rows_; }
  std::span<const Segment> segments() const { return segments_; }
  void Barrier() {
    if (lane_ == nullptr) return step.pool->Barrier(thread);
    const Operation operation = lane_->operation();
    lane_->Enter(Operation::kBarrier);
    step.pool->Barrier(thread);
    lane_->Enter(operation);
  }
  /// For the profile: what this thread does from here on. Norm and Prepare enter kNorm themselves.
  void Enter(Operation operation) {
    if (lane_ != nullptr) lane_->Enter(operation);
  }

  /// The rows that this thread prepares: all of them when they are few, else its share.
  Range OwnRows(int64_t n) const;
  Range OwnRows() const { return OwnRows(n_rows_); }
  /// The residual stream of one of OwnRows(), [d_model].
  float* x(int64_t row) const { return x_ + row * spec.d_model; }
  float* y(int64_t row) const { return step.workspace->y + row * step.workspace->y_stride; }
  float* slot(int i) const { return step.workspace->slots[i]; }
  int64_t slot_stride(int i) const { return step.workspace->slot_strides[i]; }
  uint8_t* scratch() const { return step.workspace->threads[thread].scratch; }

  /// RMS norm of the residual stream as inputs of products. All threads may read them at once.
  tensor::Inputs Norm(const float* weight);
  /// Rows of a shared buffer, which all threads have finished writing, as inputs of products.
  tensor::Inputs Prepare(const float* rows, int64_t stride, int64_t n_cols);
  /// The same for n pairs of rows and experts, in a buffer of their own.
  tensor::Inputs PreparePairs(const float* rows, int64_t stride, int64_t n_cols, int64_t n);
  /// The residual stream itself as inputs.
  tensor::Inputs PrepareResidual();
  /// Rounds columns that this thread has just computed, in rows [rows.begin, rows.end) of a shared
  /// buffer of n_cols columns. Columns begin at a multiple of 32 and end at one or at n_cols.
  void RoundColumns(const float* values, int64_t stride, int64_t n_cols, Range rows, Range columns);
  /// All rows of that buffer as inputs, after a barrier behind which every column is rounded.
  tensor::Inputs Rounded(const float* values, int64_t stride, int64_t n_cols) const;

  /// This thread's part of products of the same inputs: panels are shared out over all of them.
  void Multiply(const tensor::Inputs& inputs, std::initializer_list<Product> products);
  /// Panels [range.begin, range.end) of one product.
  void MultiplyPanels(const tensor::Inputs& inputs, const Product& product, Range range);

  /// x = x + residual_scale * norm(y + bias), for own rows, after a barrier that completed y. Null
  /// = no bias, no norm.
  void AddResidual(const float* bias, const float* post_norm);
  /// Goes on with the wanted rows alone. The residual stream must be up to date.
  void Narrow();
  bool few() const { return few_; }
  InputBuffer& inputs(int i) const;
  float* row_buffer() const { return step.workspace->threads[thread].row; }

 private:
  void SetRows(std::span<const Segment> segments, int64_t n_rows);
  tensor::Inputs PrepareIn(const InputBuffer& buffer, const float* rows, int64_t stride,
                           int64_t n_cols, int64_t n);
  tensor::Inputs Finish(const InputBuffer& buffer, const float* values, int64_t stride,
                        int64_t n_cols, int64_t n);

  std::span<const Segment> segments_;
  int64_t n_rows_ = 0;
  bool few_ = false;
  float* x_ = nullptr;
  Profile::Lane* const lane_;  ///< Null unless a profile is taken.
};

// A layer's parts. Each begins with the residual stream up to date in its owners and ends with y
// complete behind a barrier, to be added to it.
void Attention(Worker& worker, int layer);
void GatedDeltaNet(Worker& worker, int layer);
void ShortConvolution(Worker& worker, int layer);
void FeedForward(Worker& worker, int layer);
void Experts(Worker& worker, int layer);
/// Gemma 4: per-layer inputs from the embeddings of all rows, once per step, behind a barrier.
void PreparePerLayerInputs(Worker& worker);
/// Gemma 4: a layer's end; leaves the residual stream up to date.
void FinishLayer(Worker& worker, int layer);

}  // namespace lamina::model
