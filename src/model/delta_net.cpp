// Gated delta-net (arXiv:2412.06464) as Qwen 3.5 uses it: convolution, normalised queries and keys,
// one matrix of state per value head, gated norm.
#include <cmath>
#include <cstring>

#include "model/step.h"

namespace lamina::model {
namespace {

// The reference's l2norm.
constexpr float kL2Eps = 1e-6f;

// What the phases of one layer share. Slots: 0 = queries, keys and values; 1 = z; 2 = alpha, which
// becomes the logarithm of the decay, and beta; 4 = the convolved channels of 0, whose values
// become the heads' outputs.
struct Context {
  Worker& worker;
  const int index;
  const ModelSpec& spec;
  const LayerWeights& weights;

  int64_t n_keys() const { return int64_t{spec.n_k_heads} * spec.d_k_head; }
  int64_t n_values() const { return int64_t{spec.n_v_heads} * spec.d_v_head; }
  int64_t n_channels() const { return 2 * n_keys() + n_values(); }
  float* row(int slot, int64_t row) const {
    return worker.slot(slot) + row * worker.slot_stride(slot);
  }
  // Products write whole panels, so beta begins at the next one.
  int64_t beta_offset() const { return weights[MatrixRole::kDeltaAlpha].y_stride(); }
  // A sequence's state of this layer: the convolution's last inputs, the heads' matrices, and the
  // heads' sums of decays, each a double.
  float* conv_state(const Segment& segment) const { return segment.sequence->recurrent(index); }
  float* head_state(const Segment& segment, int64_t head) const {
    return conv_state(segment) + n_channels() * (spec.conv_kernel - 1) +
           head * spec.d_k_head * spec.d_v_head;
  }
  float* decay_sum(const Segment& segment, int64_t head) const {
    return head_state(segment, spec.n_v_heads) + 2 * head;
  }
};

// Convolves `width` channels from `channel` on of all rows.
void Convolve(const Context& c, int64_t channel, int64_t width) {
  const Worker& w = c.worker;
  for (const Segment& segment : w.segments()) {
    if (segment.n_rows == 0) continue;
    kernels::ConvArgs args{};
    args.x = c.row(0, segment.first_row) + channel;
    args.x_stride = w.slot_stride(0);
    args.n_tokens = segment.n_rows;
    args.n_channels = width;
    args.kernel = c.spec.conv_kernel;
    args.weight = c.weights[VectorRole::kDeltaConv] + channel;
    args.weight_stride = c.n_channels();
    args.state = c.conv_state(segment) + channel;
    args.state_stride = c.n_channels();
    args.silu = true;
    args.out = c.row(4, segment.first_row) + channel;
    args.out_stride = w.slot_stride(4);
    w.step.table->conv(args);
  }
}

// A query or key head, or a value head, is one unit of work.
void ConvolveHeads(const Context& c) {
  const Worker& w = c.worker;
  const int64_t n_key_units = 2 * int64_t{c.spec.n_k_heads};
  const Range own = SplitRange(n_key_units + c.spec.n_v_heads, w.thread, w.n_threads);
  const float query_scale = 1.0f / std::sqrt(static_cast<float>(c.spec.d_k_head));
  for (int64_t unit = own.begin; unit < own.end; ++unit) {
    if (unit >= n_key_units) {
      Convolve(c, 2 * c.n_keys() + (unit - n_key_units) * c.spec.d_v_head, c.spec.d_v_head);
      continue;
    }
    const int64_t channel = unit * c.spec.d_k_head;
    Convolve(c, channel, c.spec.d_k_head);
    for (int64_t row = 0; row < w.n_rows(); ++row) {
      float* head = c.row(4, row) + channel;
      w.vector.l2_norm(head, kL2Eps, c.spec.d_k_head, head);
      if (unit < c.spec.n_k_heads) w.vector.scale(head, query_scale, c.spec.d_k_head, head);
    }
  }
}

// The logarithm of a head's decay, from the exact sum of those before it in its chunk. The
// reference (and the kernels that models are trained with) takes decays between two tokens of a
// chunk of 64 as e to the difference of f32 sums; a step is the difference of two such sums here
// too, because heads whose output almost cancels show the rounding.
void RoundDecays(const Context& c, int64_t first_head, int64_t n_heads) {
  constexpr int64_t kChunk = 64;
  const Worker& w = c.worker;
  for (const Segment& segment : w.segments()) {
    for (int64_t i = 0; i < segment.n_rows; ++i) {
      const bool starts = (segment.first_position + i) % kChunk == 0;
      for (int64_t head = first_head; head < first_head + n_heads; ++head) {
        float* state = c.decay_sum(segment, head);
        double sum;
        std::memcpy(&sum, state, sizeof(sum));
        if (starts) sum = 0;
        const auto before = static_cast<float>(sum);
        float& decay = c.row(2, segment.first_row + i)[head];
        sum += static_cast<double>(decay);
        decay = static_cast<float>(sum) - before;
        std::memcpy(state, &sum, sizeof(sum));
      }
    }
  }
}

// Decays and betas of a range of value heads, all rows.
void ComputeGates(const Context& c) {
  const Worker& w = c.worker;
  const Range own = SplitRange(c.spec.n_v_heads, w.thread, w.n_threads);
  const int64_t n = own.end - own.begin;
  if (n == 0) return;
  for (int64_t row = 0; row < w.n_rows(); ++row) {
    float* decay = c.row(2, row) + own.begin;
    w.vector.add(decay, c.weights[VectorRole::kDeltaDt] + own.begin, n, decay);
    w.vector.softplus(decay, n, decay);
    w.vector.mul(decay, c.weights[VectorRole::kDeltaA] + own.begin, n, decay);
    float* beta = decay + c.beta_offset();
    w.vector.sigmoid_mul(beta, nullptr, n, beta);
  }
  RoundDecays(c, own.begin, n);
}

// The delta rule of one value head over a segment, and the gated norm of its outputs.
void RunHead(const Context& c, const Segment& segment, int64_t head) {
  const Worker& w = c.worker;
  const int64_t key_head = head % c.spec.n_k_heads, d_v = c.spec.d_v_head;
  float* base = c.row(4, segment.first_row);
  float* values = base + 2 * c.n_keys() + head * d_v;
  kernels::DeltaArgs args{};
  args.q = base + key_head * c.spec.d_k_head;
  args.k = base + c.n_keys() + key_head * c.spec.d_k_head;
  args.v = values;
  args.q_stride = args.k_stride = args.v_stride = w.slot_stride(4);
  args.log_decay = c.row(2, segment.first_row) + head;
  args.beta = args.log_decay + c.beta_offset();
  args.gate_stride = w.slot_stride(2);
  args.n_tokens = segment.n_rows;
  args.d_k = c.spec.d_k_head;
  args.d_v = c.spec.d_v_head;
  args.state = c.head_state(segment, head);
  args.out = values;
  args.out_stride = w.slot_stride(4);
  args.scratch = w.scratch();
  w.step.table->delta(args);
  for (int64_t i = 0; i < segment.n_rows; ++i) {
    float* out = values + i * w.slot_stride(4);
    const float* z = c.row(1, segment.first_row + i) + head * d_v;
    w.vector.rms_norm(out, c.weights[VectorRole::kDeltaNorm], c.spec.norm_eps, d_v, out);
    w.vector.silu_mul(z, out, d_v, out);
  }
}

}  // namespace

void GatedDeltaNet(Worker& w, int index) {
  const LayerWeights& weights = w.step.weights->layers[static_cast<size_t>(index)];
  const Context c{w, index, w.spec, weights};
  const tensor::Inputs inputs = w.Norm(weights[VectorRole::kMixerNorm]);
  w.Enter(Operation::kRecurrentIn);
  w.Multiply(inputs,
             {{&weights[MatrixRole::kDeltaQkv], w.slot(0), w.slot_stride(0)},
              {&weights[MatrixRole::kDeltaGate], w.slot(1), w.slot_stride(1)},
              {&weights[MatrixRole::kDeltaAlpha], w.slot(2), w.slot_stride(2)},
              {&weights[MatrixRole::kDeltaBeta], w.slot(2) + c.beta_offset(), w.slot_stride(2)}});
  w.Barrier();
  w.Enter(Operation::kConvolution);
  ConvolveHeads(c);
  ComputeGates(c);
  w.Barrier();
  w.Enter(Operation::kDelta);
  int64_t unit = 0;
  for (const Segment& segment : w.segments()) {
    for (int64_t head = 0; head < c.spec.n_v_heads; ++head, ++unit) {
      if (segment.n_rows > 0 && unit % w.n_threads == w.thread) RunHead(c, segment, head);
    }
  }
  w.Barrier();
  const tensor::Inputs mixed =
      w.Prepare(w.slot(4) + 2 * c.n_keys(), w.slot_stride(4), c.n_values());
  w.Enter(Operation::kRecurrentOut);
  w.Multiply(mixed, {{&weights[MatrixRole::kDeltaOut], w.y(0), w.step.workspace->y_stride}});
  w.Barrier();
}

}  // namespace lamina::model
