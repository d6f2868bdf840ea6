// LFM2's short convolution: out = W (C * conv(B * x)), with B, C and x from one projection.
#include "model/step.h"

namespace lamina::model {
namespace {

// Channels [begin, begin + n) of all rows; slot 0 = B, C, x; slot 1 = B * x; slot 4 = the result.
void Convolve(Worker& w, int index, const LayerWeights& weights, int64_t begin, int64_t n) {
  const int64_t d = w.spec.d_model;
  const float* in_bias = weights[VectorRole::kConvInBias];
  const float* bias = weights[VectorRole::kConvBias];
  const auto row = [&](int slot, int64_t i) { return w.slot(slot) + i * w.slot_stride(slot); };
  for (int64_t i = 0; i < w.n_rows(); ++i) {
    for (int64_t part = begin; in_bias != nullptr && part < 3 * d; part += d) {
      w.vector.add(row(0, i) + part, in_bias + part, n, row(0, i) + part);
    }
    w.vector.mul(row(0, i) + begin, row(0, i) + 2 * d + begin, n, row(1, i) + begin);
  }
  for (const Segment& segment : w.segments()) {
    if (segment.n_rows == 0) continue;
    kernels::ConvArgs args{};
    args.x = row(1, segment.first_row) + begin;
    args.x_stride = w.slot_stride(1);
    args.n_tokens = segment.n_rows;
    args.n_channels = n;
    args.kernel = w.spec.conv_kernel;
    args.weight = weights[VectorRole::kConvKernel] + begin;
    args.bias = bias != nullptr ? bias + begin : nullptr;
    args.weight_stride = d;
    args.state = segment.sequence->recurrent(index) + begin;
    args.state_stride = d;
    args.out = row(4, segment.first_row) + begin;
    args.out_stride = w.slot_stride(4);
    w.step.table->conv(args);
  }
  for (int64_t i = 0; i < w.n_rows(); ++i) {
    w.vector.mul(row(0, i) + d + begin, row(4, i) + begin, n, row(4, i) + begin);
  }
}

}  // namespace

void ShortConvolution(Worker& w, int index) {
  const LayerWeights& weights = w.step.weights->layers[static_cast<size_t>(index)];
  const tensor::Inputs inputs = w.Norm(weights[VectorRole::kMixerNorm]);
  w.Enter(Operation::kRecurrentIn);
  w.Multiply(inputs, {{&weights[MatrixRole::kConvIn], w.slot(0), w.slot_stride(0)}});
  w.Barrier();
  w.Enter(Operation::kConvolution);
  // Whole cache lines per thread.
  const Range own = SplitRange(w.spec.d_model, w.thread, w.n_threads, 16);
  if (own.begin < own.end) {
    Convolve(w, index, weights, own.begin, own.end - own.begin);
  }
  w.Barrier();
  const tensor::Inputs mixed = w.Prepare(w.slot(4), w.slot_stride(4), w.spec.d_model);
  w.Enter(Operation::kRecurrentOut);
  w.Multiply(mixed, {{&weights[MatrixRole::kConvOut], w.y(0), w.step.workspace->y_stride}});
  w.Barrier();
}

}  // namespace lamina::model
