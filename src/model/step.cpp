#include "model/step.h"

#include <algorithm>
#include <cstring>

#include "kernels/dispatch.h"

namespace lamina::model {
namespace {

int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Products write whole panels.
int64_t PanelWidth(int64_t n) { return RoundUp(n, quant::kPanelRows); }

// Rows of queries that one call of the attention kernel takes.
int64_t QueryRowsPerCall(const LayerSpec& layer) {
  return AttentionTokens(layer) * (layer.n_heads / layer.n_kv_heads);
}

int64_t KernelScratchBytes(const ModelSpec& spec, int64_t max_cols) {
  int64_t bytes = kernels::ScratchBytes(max_cols);
  for (const LayerSpec& layer : spec.layers) {
    if (layer.mixer == Mixer::kAttention) {
      bytes = std::max(bytes, kernels::AttentionScratchBytes(QueryRowsPerCall(layer), 1,
                                                             layer.d_head, layer.d_value));
    } else if (layer.mixer == Mixer::kGatedDeltaNet) {
      bytes = std::max(bytes, kernels::DeltaScratchBytes(spec.d_k_head, spec.d_v_head));
    }
  }
  return RoundUp(bytes, 64);
}

// Takes buffers from an arena, or only adds up what they need.
class Carver {
 public:
  explicit Carver(Arena* arena) : arena_(arena) {}
  template <class T>
  T* Take(int64_t n) {
    const int64_t bytes = Arena::Rounded(n * static_cast<int64_t>(sizeof(T)));
    n_bytes_ += bytes;
    return arena_ != nullptr ? reinterpret_cast<T*>(arena_->Take(bytes)) : nullptr;
  }
  int64_t n_bytes() const { return n_bytes_; }

 private:
  Arena* arena_;
  int64_t n_bytes_ = 0;
};

InputBuffer CarveBlocks(Carver& carver, const StepSizes& sizes, int64_t n_rows) {
  // The widest row takes one plane, the widest of the narrow ones three.
  const int64_t block_bytes =
      std::max(tensor::QuantizedBytes(sizes.max_cols, n_rows),
               tensor::QuantizedBytes(std::min(sizes.max_cols, tensor::kMaxPlaneCols), n_rows));
  InputBuffer buffer;
  buffer.blocks =
      carver.Take<kernels::ActBlock>(block_bytes / static_cast<int64_t>(sizeof(kernels::ActBlock)));
  buffer.capacity_rows = n_rows;
  return buffer;
}

InputBuffer CarveInputs(Carver& carver, const StepSizes& sizes, int64_t n_rows) {
  InputBuffer buffer = CarveBlocks(carver, sizes, n_rows);
  buffer.values = carver.Take<float>(n_rows * sizes.max_cols);
  return buffer;
}

void Carve(Carver& carver, const StepSizes& sizes, int64_t n_rows, Workspace* workspace) {
  Workspace& w = *workspace;
  const int64_t n_pairs = n_rows * std::max<int64_t>(sizes.n_pairs, 1);
  w.x = carver.Take<float>(n_rows * sizes.d_model);
  w.y_stride = PanelWidth(sizes.d_model);
  w.y = carver.Take<float>(n_rows * w.y_stride);
  for (int i = 0; i < kNumSlots; ++i) {
    w.slot_strides[i] = PanelWidth(sizes.slots[i]);
    // Experts use the first two, with a row per pair.
    w.slots[i] = carver.Take<float>((i < 2 ? n_pairs : n_rows) * w.slot_strides[i]);
  }
  w.cos = carver.Take<float>(n_rows * sizes.n_angles);
  w.sin = carver.Take<float>(n_rows * sizes.n_angles);
  w.per_layer_stride = PanelWidth(sizes.n_per_layer);
  w.per_layer = carver.Take<float>(n_rows * w.per_layer_stride);
  w.inputs[0] = CarveInputs(carver, sizes, n_rows);
  if (sizes.n_pairs > 0) w.inputs[1] = CarveInputs(carver, sizes, n_pairs);
  w.joined = CarveBlocks(carver, sizes, n_rows);
  for (Workspace::PerThread& thread : w.threads) {
    thread.x = carver.Take<float>(kFewRows * sizes.d_model);
    thread.row = carver.Take<float>(sizes.max_cols);
    thread.scratch = carver.Take<uint8_t>(sizes.kernel_scratch_bytes);
    thread.logits_tail = carver.Take<float>(n_rows * quant::kPanelRows);
    thread.inputs[0] = CarveInputs(carver, sizes, kFewRows);
    if (sizes.n_pairs > 0) {
      thread.inputs[1] = CarveInputs(carver, sizes, kFewRows * sizes.n_pairs);
      thread.experts = carver.Take<int32_t>(2 * n_pairs);
      thread.expert_weights = carver.Take<float>(n_pairs);
    }
  }
}

}  // namespace

int64_t AttentionTokens(const LayerSpec& layer) {
  // About 96 rows share one conversion of keys and values to f32; queries and sums of more would
  // crowd a block's keys and values out of the second cache.
  const int64_t n_group = layer.n_heads / layer.n_kv_heads;
  return std::clamp<int64_t>(96 / n_group / 8 * 8, 8, 64);
}

SlotWidths LayerSlotWidths(const ModelSpec& spec, const LayerSpec& layer) {
  SlotWidths widths = {};
  const int64_t n_kv_heads = layer.n_kv_heads;
  const int64_t n_delta_v = int64_t{spec.n_v_heads} * spec.d_v_head;
  const int64_t n_channels = 2 * int64_t{spec.n_k_heads} * spec.d_k_head + n_delta_v;
  switch (layer.mixer) {
    case Mixer::kAttention:  // Queries, keys, values, gate, result.
      widths = {int64_t{layer.n_heads} * layer.d_head, n_kv_heads * layer.d_head,
                n_kv_heads * layer.d_value,
                layer.output_gate ? int64_t{layer.n_heads} * layer.d_value : 0,
                int64_t{layer.n_heads} * layer.d_value};
      break;
    case Mixer::kGatedDeltaNet:  // Queries, keys, values; z; alpha and beta; the convolved.
      widths = {n_channels, n_delta_v, 2 * PanelWidth(spec.n_v_heads), 0, n_channels};
      break;
    case Mixer::kShortConv:  // B, C and x; B x; -; -; the convolved.
      widths = {3 * spec.d_model, spec.d_model, 0, 0, spec.d_model};
      break;
  }
  widths[0] = std::max<int64_t>({widths[0], layer.d_ff, spec.d_per_layer_input});
  widths[1] = std::max<int64_t>(widths[1], layer.d_ff);
  if (layer.n_experts > 0) widths[1] = std::max(widths[1], spec.d_model);
  widths[2] = std::max<int64_t>(widths[2], layer.n_experts);
  return widths;
}

StepSizes MeasureStep(const ModelSpec& spec) {
  StepSizes sizes;
  sizes.d_model = spec.d_model;
  sizes.max_cols = std::max<int64_t>(spec.d_model, spec.d_per_layer_input);
  for (const LayerSpec& layer : spec.layers) {
    const SlotWidths widths = LayerSlotWidths(spec, layer);
    for (int i = 0; i < kNumSlots; ++i) sizes.slots[i] = std::max(sizes.slots[i], widths[i]);
    sizes.max_cols = std::max<int64_t>({sizes.max_cols, widths[4], layer.d_ff});
    sizes.n_pairs = std::max<int64_t>(sizes.n_pairs, layer.n_experts_used);
  }
  for (const RopeSpec& rope : spec.ropes) sizes.n_angles += rope.n_rot / 2;
  sizes.n_per_layer = static_cast<int64_t>(spec.layers.size()) * spec.d_per_layer_input;
  sizes.kernel_scratch_bytes = KernelScratchBytes(spec, sizes.max_cols);
  return sizes;
}

int64_t Workspace::Bytes(const StepSizes& sizes, int64_t n_rows, int n_threads) {
  Workspace workspace;
  workspace.threads.resize(static_cast<size_t>(n_threads));
  Carver carver(nullptr);
  Carve(carver, sizes, n_rows, &workspace);
  return carver.n_bytes();
}

Result<std::unique_ptr<Workspace>> Workspace::Create(const StepSizes& sizes, int64_t n_rows,
                                                     int n_threads) {
  auto workspace = std::make_unique<Workspace>();
  workspace->arena_ = TRY(Arena::Create(Bytes(sizes, n_rows, n_threads)));
  workspace->capacity_rows_ = n_rows;
  workspace->threads.resize(static_cast<size_t>(n_threads));
  Carver carver(&workspace->arena_);
  Carve(carver, sizes, n_rows, workspace.get());
  return workspace;
}

Worker::Worker(Step& shared, int thread_index)
    : step(shared),
      spec(*shared.spec),
      vector(shared.table->vector),
      thread(thread_index),
      n_threads(shared.pool->n_threads()),
      lane_(shared.lanes != nullptr ? shared.lanes + thread_index : nullptr) {
  if (lane_ != nullptr) lane_->Begin();
  SetRows(shared.segments, static_cast<int64_t>(shared.ids.size()));
}

void Worker::SetRows(std::span<const Segment> segments, int64_t n_rows) {
  segments_ = segments;
  n_rows_ = n_rows;
  few_ = n_rows <= kFewRows;
  x_ = few_ ? step.workspace->threads[thread].x : step.workspace->x;
}

Range Worker::OwnRows(int64_t n) const {
  return few_ ? Range{0, n} : SplitRange(n, thread, n_threads);
}

InputBuffer& Worker::inputs(int i) const {
  return few_ ? step.workspace->threads[thread].inputs[i] : step.workspace->inputs[i];
}

tensor::Inputs Worker::Finish(const InputBuffer& buffer, const float* values, int64_t stride,
                              int64_t n_cols, int64_t n) {
  if (!few_) Barrier();
  return {n, values, stride, {buffer.blocks, n_cols, buffer.capacity_rows}, 0};
}

tensor::Inputs Worker::Norm(const float* weight) {
  Enter(Operation::kNorm);
  const InputBuffer& buffer = inputs(0);
  const bool keep = step.weights->has_float;
  const Range own = OwnRows();
  for (int64_t row = own.begin; row < own.end; ++row) {
    float* out = keep ? buffer.values + row * spec.d_model : row_buffer();
    vector.rms_norm(x(row), weight, spec.norm_eps, spec.d_model, out);
    if (step.weights->has_int8) {
      tensor::QuantizeRow(*step.table, out, {buffer.blocks, spec.d_model, buffer.capacity_rows},
                          row);
    }
  }
  return Finish(buffer, buffer.values, spec.d_model, spec.d_model, n_rows_);
}

tensor::Inputs Worker::PrepareIn(const InputBuffer& buffer, const float* rows, int64_t stride,
                                 int64_t n_cols, int64_t n) {
  Enter(Operation::kNorm);
  if (step.weights->has_int8) {
    const Range own = OwnRows(n);
    for (int64_t row = own.begin; row < own.end; ++row) {
      tensor::QuantizeRow(*step.table, rows + row * stride,
                          {buffer.blocks, n_cols, buffer.capacity_rows}, row);
    }
  }
  return Finish(buffer, rows, stride, n_cols, n);
}

tensor::Inputs Worker::Prepare(const float* rows, int64_t stride, int64_t n_cols) {
  return PrepareIn(inputs(0), rows, stride, n_cols, n_rows_);
}

tensor::Inputs Worker::PreparePairs(const float* rows, int64_t stride, int64_t n_cols, int64_t n) {
  return PrepareIn(inputs(1), rows, stride, n_cols, n);
}

tensor::Inputs Worker::PrepareResidual() { return Prepare(x_, spec.d_model, spec.d_model); }

void Worker::RoundColumns(const float* values, int64_t stride, int64_t n_cols, Range rows,
                          Range columns) {
  if (!step.weights->has_int8 || columns.begin >= columns.end) return;
  const InputBuffer& buffer = step.workspace->joined;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    tensor::QuantizeColumns(*step.table, values + row * stride + columns.begin, columns.begin,
                            columns.end - columns.begin,
                            {buffer.blocks, n_cols, buffer.capacity_rows}, row);
  }
}

tensor::Inputs Worker::Rounded(const float* values, int64_t stride, int64_t n_cols) const {
  const InputBuffer& buffer = step.workspace->joined;
  return {n_rows_, values, stride, {buffer.blocks, n_cols, buffer.capacity_rows}, 0};
}

void Worker::MultiplyPanels(const tensor::Inputs& inputs, const Product& product, Range range) {
  if (range.begin >= range.end) return;
  if (lane_ != nullptr) {
    const int64_t n_panels = range.end - range.begin;
    lane_->AddProduct(n_panels * product.matrix->panel_bytes,
                      n_panels * quant::kPanelRows * product.matrix->n_cols * inputs.n_rows);
  }
  tensor::Matmul(*step.table, *product.matrix, inputs, range.begin, range.end, product.y,
                 product.y_stride, false, scratch());
}

void Worker::Multiply(const tensor::Inputs& inputs, std::initializer_list<Product> products) {
  int64_t n_panels = 0;
  for (const Product& product : products) n_panels += product.matrix->n_panels();
  const Range own = SplitRange(n_panels, thread, n_threads);
  int64_t first = 0;
  for (const Product& product : products) {
    const int64_t n = product.matrix->n_panels();
    MultiplyPanels(inputs, product,
                   {std::max<int64_t>(own.begin - first, 0), std::min(own.end - first, n)});
    first += n;
  }
}

void Worker::AddResidual(const float* bias, const float* post_norm) {
  Enter(Operation::kNorm);
  const Range own = OwnRows();
  for (int64_t row = own.begin; row < own.end; ++row) {
    const float* sum = y(row);
    if (bias != nullptr) {
      vector.add(sum, bias, spec.d_model, row_buffer());
      sum = row_buffer();
    }
    if (post_norm != nullptr) {
      vector.rms_norm(sum, post_norm, spec.norm_eps, spec.d_model, row_buffer());
      sum = row_buffer();
    }
    if (spec.residual_scale != 1.0f) {
      vector.scale(sum, spec.residual_scale, spec.d_model, row_buffer());
      sum = row_buffer();
    }
    vector.add(x(row), sum, spec.d_model, x(row));
  }
}

void Worker::Narrow() {
  if (step.n_wanted == n_rows_) return;
  const bool was_few = few_;
  float* from = x_;
  const auto row_bytes = static_cast<size_t>(spec.d_model) * sizeof(float);
  if (!was_few) Barrier();
  SetRows(step.wanted, step.n_wanted);
  // Rows only move forward, so they can be moved in place, in order.
  if (was_few || few_ || thread == 0) {
    for (const Segment& segment : segments_) {
      std::memmove(x_ + segment.first_row * spec.d_model, from + segment.step_row * spec.d_model,
                   static_cast<size_t>(segment.n_rows) * row_bytes);
    }
  }
  if (!few_) Barrier();
}

}  // namespace lamina::model
