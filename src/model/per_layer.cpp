// Gemma 4's inputs of every layer: a table's row and a projection of the embedding, joined before
// the first layer, gated into the residual stream at the end of each.
#include <algorithm>
#include <cmath>

#include "model/step.h"

namespace lamina::model {
namespace {

// out [n_cols] = (out + factor * the table's row) * scale, block by block: a row of all layers is
// too wide for a thread's own buffers.
void AddTableRow(const kernels::VectorKernels& vector, const RowTable& table, int64_t row,
                 float factor, float scale, float* out) {
  constexpr int64_t kChunk = 256;  // A multiple of every type's block.
  float values[kChunk];
  const quant::TypeInfo& type = *table.type;
  const uint8_t* blocks = table.data + row * table.row_bytes;
  for (int64_t begin = 0; begin < table.n_cols; begin += kChunk) {
    const int64_t n = std::min(kChunk, table.n_cols - begin);
    type.dequantize(blocks + begin / type.block_values * type.block_bytes, n / type.block_values,
                    values);
    vector.axpy(factor, values, n, out + begin);
    vector.scale(out + begin, scale, n, out + begin);
  }
}

}  // namespace

void PreparePerLayerInputs(Worker& w) {
  const int64_t d = w.spec.d_per_layer_input;
  const auto n_layers = static_cast<int64_t>(w.spec.layers.size());
  Workspace& workspace = *w.step.workspace;
  const tensor::Inputs inputs = w.PrepareResidual();
  w.Enter(Operation::kPerLayer);
  w.Multiply(inputs, {{&w.step.weights->per_layer_projection, workspace.per_layer,
                       workspace.per_layer_stride}});
  w.Barrier();
  const float projection_scale = 1.0f / std::sqrt(static_cast<float>(w.spec.d_model));
  const float table_scale = std::sqrt(static_cast<float>(d));
  const float mean_scale = 1.0f / std::sqrt(2.0f);
  const Range own = SplitRange(w.n_rows(), w.thread, w.n_threads);
  for (int64_t row = own.begin; row < own.end; ++row) {
    float* out = workspace.per_layer + row * workspace.per_layer_stride;
    w.vector.scale(out, projection_scale, n_layers * d, out);
    for (int64_t layer = 0; layer < n_layers; ++layer) {
      float* part = out + layer * d;
      w.vector.rms_norm(part, w.step.weights->per_layer_norm, w.spec.norm_eps, d, part);
    }
    AddTableRow(w.vector, w.step.weights->per_layer_embedding, w.step.ids[static_cast<size_t>(row)],
                table_scale, mean_scale, out);
  }
  w.Barrier();
}

namespace {

void AddInput(Worker& w, int index) {
  const LayerSpec& layer = w.spec.layers[static_cast<size_t>(index)];
  const LayerWeights& weights = w.step.weights->layers[static_cast<size_t>(index)];
  const int64_t d = w.spec.d_per_layer_input;
  const tensor::Matrix& gate = weights[MatrixRole::kPerLayerGate];
  const Workspace& workspace = *w.step.workspace;

  const tensor::Inputs inputs = w.PrepareResidual();
  w.Enter(Operation::kPerLayer);
  const Range panels = SplitRange(gate.n_panels(), w.thread, w.n_threads);
  w.MultiplyPanels(inputs, {&gate, w.slot(0), w.slot_stride(0)}, panels);
  const int64_t begin = panels.begin * quant::kPanelRows;
  const int64_t n = std::min<int64_t>(panels.end * quant::kPanelRows, d) - begin;
  const auto activate =
      layer.activation == Activation::kSilu ? w.vector.silu_mul : w.vector.gelu_mul;
  for (const Segment& segment : w.segments()) {
    for (int64_t i = 0; n > 0 && i < segment.n_rows; ++i) {
      float* out = w.slot(0) + (segment.first_row + i) * w.slot_stride(0) + begin;
      const float* in = workspace.per_layer + (segment.step_row + i) * workspace.per_layer_stride +
                        index * d + begin;
      activate(out, in, n, out);
    }
  }
  w.Barrier();
  const tensor::Inputs hidden = w.Prepare(w.slot(0), w.slot_stride(0), d);
  w.Enter(Operation::kPerLayer);
  w.Multiply(hidden, {{&weights[MatrixRole::kPerLayerProjection], w.y(0), workspace.y_stride}});
  w.Barrier();
  w.AddResidual(nullptr, weights[VectorRole::kPostPerLayerNorm]);
}

}  // namespace

void FinishLayer(Worker& w, int index) {
  if (w.spec.d_per_layer_input > 0) AddInput(w, index);
  const auto& weights = w.step.weights->layers[static_cast<size_t>(index)];
  const float* scale = weights[VectorRole::kLayerScale];
  if (scale == nullptr) return;
  const Range own = w.OwnRows();
  for (int64_t row = own.begin; row < own.end; ++row) {
    w.vector.scale(w.x(row), *scale, w.spec.d_model, w.x(row));
  }
}

}  // namespace lamina::model
