#include "model/forward.h"

#include <algorithm>
#include <atomic>

namespace lamina::model {
namespace {

// Embeddings of own rows; angles of every n_threads-th row, for all.
void Begin(Worker& w) {
  const Range own = w.OwnRows();
  for (int64_t row = own.begin; row < own.end; ++row) {
    w.step.weights->Embedding(w.step.ids[static_cast<size_t>(row)], w.x(row));
    if (w.spec.embedding_scale != 1.0f) {
      w.vector.scale(w.x(row), w.spec.embedding_scale, w.spec.d_model, w.x(row));
    }
  }
  for (const Segment& segment : w.segments()) {
    for (int64_t i = 0; i < segment.n_rows; ++i) {
      const int64_t row = segment.first_row + i;
      if (row % w.n_threads != w.thread) continue;
      for (size_t rope = 0; rope < w.step.ropes.size(); ++rope) {
        const int64_t angles = row * w.step.n_angles + w.step.rope_offsets[rope];
        w.step.ropes[rope].Angles(segment.first_position + i, segment.sequence->long_factors(),
                                  w.step.workspace->cos + angles, w.step.workspace->sin + angles);
      }
    }
  }
  if (w.spec.d_per_layer_input > 0) PreparePerLayerInputs(w);
}

void Mix(Worker& w, int index) {
  switch (w.spec.layers[static_cast<size_t>(index)].mixer) {
    case Mixer::kAttention:
      return Attention(w, index);
    case Mixer::kGatedDeltaNet:
      return GatedDeltaNet(w, index);
    case Mixer::kShortConv:
      return ShortConvolution(w, index);
  }
}

// Panels [range.begin, range.end) of the head, whose last may reach past the row of logits.
void HeadPanels(Worker& w, const tensor::Inputs& inputs, Range range) {
  const tensor::Matrix& head = w.step.weights->head;
  const int64_t n_vocab = w.spec.n_vocab;
  const int64_t n_whole = n_vocab / quant::kPanelRows;
  w.MultiplyPanels(inputs, {&head, w.step.logits, n_vocab},
                   {range.begin, std::min(range.end, n_whole)});
  if (range.end <= n_whole) return;
  tensor::Matrix last = head;
  last.panels += n_whole * head.panel_bytes;
  float* tail = w.step.workspace->threads[static_cast<size_t>(w.thread)].logits_tail;
  w.MultiplyPanels(inputs, {&last, tail, quant::kPanelRows}, {0, 1});
  for (int64_t row = 0; row < inputs.n_rows; ++row) {
    std::copy_n(tail + row * quant::kPanelRows, n_vocab % quant::kPanelRows,
                w.step.logits + row * n_vocab + n_whole * quant::kPanelRows);
  }
}

void Head(Worker& w) {
  const tensor::Inputs inputs = w.Norm(w.step.weights->output_norm);
  const Range panels = SplitRange(w.step.weights->head.n_panels(), w.thread, w.n_threads);
  w.Enter(Operation::kHead);
  HeadPanels(w, inputs, panels);
  const int64_t begin = panels.begin * quant::kPanelRows;
  const int64_t n = std::min(panels.end * quant::kPanelRows, w.spec.n_vocab) - begin;
  for (int64_t row = 0; n > 0 && row < w.n_rows(); ++row) {
    float* logits = w.step.logits + row * w.spec.n_vocab + begin;
    if (w.spec.logit_scale != 1.0f) w.vector.scale(logits, w.spec.logit_scale, n, logits);
    if (w.spec.final_softcap != 0.0f) w.vector.softcap(logits, w.spec.final_softcap, n, logits);
  }
}

}  // namespace

void RunStep(Step& step, int thread) {
  Worker w(step, thread);
  Begin(w);
  const int n_layers = static_cast<int>(w.spec.layers.size());
  for (int i = 0; i < n_layers; ++i) {
    const LayerSpec& layer = w.spec.layers[static_cast<size_t>(i)];
    const LayerWeights& weights = step.weights->layers[static_cast<size_t>(i)];
    Mix(w, i);
    if (w.n_rows() == 0) return;
    w.AddResidual(weights[VectorRole::kOutputBias], weights[VectorRole::kPostMixerNorm]);
    if (i == step.last_state_layer) {
      w.Narrow();
      if (w.n_rows() == 0) return;
    }
    // Thread 0 decides for all before a barrier, so that all leave at the same layer.
    if (thread == 0 && step.cancel != nullptr && step.cancel->load(std::memory_order_relaxed)) {
      step.stop = true;
    }
    if (layer.n_experts > 0) {
      Experts(w, i);
    } else {
      FeedForward(w, i);
    }
    w.AddResidual(nullptr, weights[VectorRole::kPostFfnNorm]);
    FinishLayer(w, i);
    if (step.stop) return;
  }
  Head(w);
}

}  // namespace lamina::model
