// The dense gated feed-forward network.
#include <algorithm>

#include "model/step.h"

namespace lamina::model {

void FeedForward(Worker& w, int index) {
  const LayerSpec& layer = w.spec.layers[static_cast<size_t>(index)];
  const LayerWeights& weights = w.step.weights->layers[static_cast<size_t>(index)];
  const tensor::Matrix& gate = weights[MatrixRole::kGate];
  const tensor::Matrix& up = weights[MatrixRole::kUp];

  const tensor::Inputs inputs = w.Norm(weights[VectorRole::kFfnNorm]);
  w.Enter(Operation::kGateUp);
  // A thread computes the same columns of both, so that it can join and round them without a
  // barrier: two panels are a block of inputs.
  const Range panels = SplitRange(gate.n_panels(), w.thread, w.n_threads, 2);
  w.MultiplyPanels(inputs, {&gate, w.slot(0), w.slot_stride(0)}, panels);
  w.MultiplyPanels(inputs, {&up, w.slot(1), w.slot_stride(1)}, panels);
  const int64_t begin = panels.begin * quant::kPanelRows;
  const int64_t end = std::min<int64_t>(panels.end * quant::kPanelRows, layer.d_ff);
  const auto activate =
      layer.activation == Activation::kSilu ? w.vector.silu_mul : w.vector.gelu_mul;
  for (int64_t row = 0; begin < end && row < w.n_rows(); ++row) {
    float* g = w.slot(0) + row * w.slot_stride(0) + begin;
    activate(g, w.slot(1) + row * w.slot_stride(1) + begin, end - begin, g);
    w.RoundColumns(w.slot(0), w.slot_stride(0), layer.d_ff, {row, row + 1}, {begin, end});
  }
  w.Barrier();
  const tensor::Inputs hidden = w.Rounded(w.slot(0), w.slot_stride(0), layer.d_ff);
  w.Enter(Operation::kDown);
  w.Multiply(hidden, {{&weights[MatrixRole::kDown], w.y(0), w.step.workspace->y_stride}});
  w.Barrier();
}

}  // namespace lamina::model
