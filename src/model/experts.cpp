// Mixture of experts: rows are grouped by expert, so that each expert's weights are read once.
#include <algorithm>
#include <array>
#include <cstring>

#include "model/step.h"

namespace lamina::model {
namespace {

// A pair is one row with one of its experts. Every thread computes the same routing by itself.
class Routing {
 public:
  Routing(const Worker& w, const LayerSpec& layer)
      : n_used_(layer.n_experts_used),
        n_pairs_(w.n_rows() * n_used_),
        expert_(w.step.workspace->threads[w.thread].experts),
        position_(expert_ + n_pairs_),
        weight_(w.step.workspace->threads[w.thread].expert_weights) {
    for (int64_t row = 0; row < w.n_rows(); ++row) Choose(w, layer, row);
    Sort(layer.n_experts);
  }

  int64_t n_pairs() const { return n_pairs_; }
  int64_t begin(int expert) const { return start_[expert]; }
  int64_t count(int expert) const { return start_[expert + 1] - start_[expert]; }
  /// Where the pair lies among all, ordered by expert and then by row.
  int64_t position(int64_t row, int rank) const { return position_[row * n_used_ + rank]; }
  float weight(int64_t row, int rank) const { return weight_[row * n_used_ + rank]; }

 private:
  // The experts with the largest router logits, the first of equals, and their weights.
  void Choose(const Worker& w, const LayerSpec& layer, int64_t row) {
    float* scores = w.slot(2) + row * w.slot_stride(2);
    int32_t* chosen = expert_ + row * n_used_;
    float* weights = weight_ + row * n_used_;
    std::array<bool, kMaxExperts> taken = {};
    for (int rank = 0; rank < n_used_; ++rank) {
      int best = -1;
      for (int e = 0; e < layer.n_experts; ++e) {
        if (taken[e]) continue;
        if (best < 0 || scores[e] > scores[best]) best = e;
      }
      taken[best] = true;
      chosen[rank] = best;
    }
    std::array<float, kMaxExperts> shares;
    if (layer.softmax_after_top_k) {
      for (int rank = 0; rank < n_used_; ++rank) shares[rank] = scores[chosen[rank]];
      w.vector.softmax(shares.data(), n_used_, weights);
    } else {
      w.vector.softmax(scores, layer.n_experts, shares.data());
      for (int rank = 0; rank < n_used_; ++rank) weights[rank] = shares[chosen[rank]];
    }
    if (!layer.normalize_expert_weights) return;
    float sum = 0;
    for (int rank = 0; rank < n_used_; ++rank) sum += weights[rank];
    for (int rank = 0; rank < n_used_; ++rank) weights[rank] /= sum;
  }

  void Sort(int n_experts) {
    std::array<int32_t, kMaxExperts> next = {};
    for (int64_t pair = 0; pair < n_pairs_; ++pair) ++next[expert_[pair]];
    start_[0] = 0;
    for (int e = 0; e < n_experts; ++e) {
      start_[e + 1] = start_[e] + next[e];
      next[e] = start_[e];
    }
    for (int64_t pair = 0; pair < n_pairs_; ++pair) position_[pair] = next[expert_[pair]]++;
  }

  const int n_used_;
  const int64_t n_pairs_;
  int32_t* expert_;    ///< [n_pairs]
  int32_t* position_;  ///< [n_pairs]
  float* weight_;      ///< [n_pairs]
  std::array<int32_t, kMaxExperts + 1> start_;
};

// Copies each row's inputs to its pairs.
tensor::Inputs Gather(Worker& w, const LayerSpec& layer, const Routing& routing,
                      const tensor::Inputs& from) {
  const InputBuffer& to = w.inputs(1);
  const tensor::QuantizedRows blocks{to.blocks, from.quantized.n_cols, to.capacity_rows};
  const int n_planes = w.step.weights->has_int8 ? tensor::PlaneCount(blocks.n_cols) : 0;
  const int64_t d_model = w.spec.d_model;
  const Range own = w.OwnRows();
  for (int64_t row = own.begin; row < own.end; ++row) {
    for (int rank = 0; rank < layer.n_experts_used; ++rank) {
      const int64_t position = routing.position(row, rank);
      if (w.step.weights->has_float) {
        std::copy_n(from.values + row * from.values_stride, d_model,
                    to.values + position * d_model);
      }
      for (int plane = 0; plane < n_planes; ++plane) {
        std::copy_n(from.quantized.Row(plane, row), blocks.n_blocks(), blocks.Row(plane, position));
      }
    }
  }
  if (!w.few()) w.Barrier();
  return {routing.n_pairs(), to.values, d_model, blocks, 0};
}

// The inputs of one expert's pairs.
tensor::Inputs Part(const tensor::Inputs& all, int64_t begin, int64_t count) {
  tensor::Inputs part = all;
  part.n_rows = count;
  part.values += begin * part.values_stride;
  part.first_row = begin;
  return part;
}

}  // namespace

void Experts(Worker& w, int index) {
  const LayerSpec& layer = w.spec.layers[static_cast<size_t>(index)];
  const LayerWeights& weights = w.step.weights->layers[static_cast<size_t>(index)];

  const tensor::Inputs inputs = w.Norm(weights[VectorRole::kFfnNorm]);
  w.Enter(Operation::kRouter);
  w.Multiply(inputs, {{&weights[MatrixRole::kRouter], w.slot(2), w.slot_stride(2)}});
  w.Barrier();
  const Routing routing(w, layer);
  const tensor::Inputs pairs = Gather(w, layer, routing, inputs);

  w.Enter(Operation::kExpertGateUp);
  const auto activate =
      layer.activation == Activation::kSilu ? w.vector.silu_mul : w.vector.gelu_mul;
  const Range panels = SplitRange(weights.expert_gate[0].n_panels(), w.thread, w.n_threads);
  const int64_t begin = panels.begin * quant::kPanelRows;
  const int64_t end = std::min<int64_t>(panels.end * quant::kPanelRows, layer.d_ff);
  for (int e = 0; e < layer.n_experts; ++e) {
    const int64_t count = routing.count(e);
    if (count == 0 || begin >= end) continue;
    const tensor::Inputs part = Part(pairs, routing.begin(e), count);
    float* gate = w.slot(0) + routing.begin(e) * w.slot_stride(0);
    float* up = w.slot(1) + routing.begin(e) * w.slot_stride(1);
    w.MultiplyPanels(part, {&weights.expert_gate[e], gate, w.slot_stride(0)}, panels);
    w.MultiplyPanels(part, {&weights.expert_up[e], up, w.slot_stride(1)}, panels);
    for (int64_t i = 0; i < count; ++i) {
      float* g = gate + i * w.slot_stride(0) + begin;
      activate(g, up + i * w.slot_stride(1) + begin, end - begin, g);
    }
  }
  w.Barrier();

  const tensor::Inputs hidden =
      w.PreparePairs(w.slot(0), w.slot_stride(0), layer.d_ff, routing.n_pairs());
  w.Enter(Operation::kExpertDown);
  const Range columns = SplitRange(weights.expert_down[0].n_panels(), w.thread, w.n_threads);
  const int64_t first = columns.begin * quant::kPanelRows;
  const int64_t n = std::min(columns.end * quant::kPanelRows, w.spec.d_model) - first;
  for (int e = 0; e < layer.n_experts; ++e) {
    if (routing.count(e) == 0) continue;
    w.MultiplyPanels(Part(hidden, routing.begin(e), routing.count(e)),
                     {&weights.expert_down[e], w.slot(1) + routing.begin(e) * w.slot_stride(1),
                      w.slot_stride(1)},
                     columns);
  }
  // In the order of rank, whatever other rows there are; a thread joins the columns it computed.
  for (int64_t row = 0; n > 0 && row < w.n_rows(); ++row) {
    float* sum = w.y(row) + first;
    std::fill_n(sum, n, 0.0f);
    for (int rank = 0; rank < layer.n_experts_used; ++rank) {
      const float* out = w.slot(1) + routing.position(row, rank) * w.slot_stride(1) + first;
      w.vector.axpy(routing.weight(row, rank), out, n, sum);
    }
  }
  w.Barrier();
}

}  // namespace lamina::model
