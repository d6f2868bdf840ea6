// Softmax attention: grouped heads, windows, softcaps, norms of queries and keys, shared keys.
#include <algorithm>
#include <cmath>

#include "model/step.h"

namespace lamina::model {
namespace {

// What the phases of one layer share.
struct Context {
  Worker& worker;
  const int index;
  const LayerSpec& layer;
  const LayerWeights& weights;
  const int kv_layer;  ///< Whose pages are read.

  int64_t n_mixed() const { return int64_t{layer.n_heads} * layer.d_value; }
  /// Whether heads are made of whole blocks of inputs, so that who computes one can round it.
  bool rounds_heads() const { return layer.d_value % 32 == 0; }
  bool stores() const { return layer.kv_from_layer < 0; }
  float* query(int64_t row) const { return worker.slot(0) + row * worker.slot_stride(0); }
  float* key(int64_t row) const { return worker.slot(1) + row * worker.slot_stride(1); }
  float* value(int64_t row) const { return worker.slot(2) + row * worker.slot_stride(2); }
};

// Bias, norm and rotation of one head of queries or keys, in place.
void FinishHead(const Context& c, VectorRole bias, VectorRole norm, int head, int64_t step_row,
                float* x) {
  const Worker& w = c.worker;
  const int d_head = c.layer.d_head;
  if (const float* b = c.weights[bias]) w.vector.add(x, b + head * d_head, d_head, x);
  if (const float* weight = c.weights[norm]) {
    w.vector.rms_norm(x, weight, w.spec.norm_eps, d_head, x);
  }
  if (c.layer.rope < 0) return;
  const int64_t angles =
      step_row * w.step.n_angles + w.step.rope_offsets[static_cast<size_t>(c.layer.rope)];
  w.vector.rope(x, w.step.workspace->cos + angles, w.step.workspace->sin + angles,
                w.spec.ropes[static_cast<size_t>(c.layer.rope)].n_rot, false);
}

void FinishQuery(const Context& c, int64_t row, int head, int64_t step_row, int64_t position) {
  float* q = c.query(row) + head * c.layer.d_head;
  FinishHead(c, VectorRole::kQueryBias, VectorRole::kQueryNorm, head, step_row, q);
  const ModelSpec& spec = c.worker.spec;
  if (spec.query_log_beta == 0.0f) return;
  const float turns =
      std::floor(static_cast<float>(position) / static_cast<float>(spec.query_log_original));
  const float factor = 1.0f + spec.query_log_beta * std::log1p(turns);
  c.worker.vector.scale(q, factor, c.layer.d_head, q);
}

void StoreKey(const Context& c, int64_t row, int head, int64_t step_row, int64_t position,
              const SequenceState& sequence) {
  float* k = c.key(row) + head * c.layer.d_head;
  FinishHead(c, VectorRole::kKeyBias, VectorRole::kKeyNorm, head, step_row, k);
  void* page = const_cast<void*>(sequence.k_pages(c.index, head)[position / kPageTokens]);
  c.worker.vector.store_key(k, c.worker.step.kv_type, c.layer.d_head, page, position % kPageTokens);
}

void StoreValue(const Context& c, int64_t row, int head, int64_t position,
                const SequenceState& sequence) {
  const Worker& w = c.worker;
  const int d_value = c.layer.d_value;
  float* v = c.value(row) + head * d_value;
  if (const float* b = c.weights[VectorRole::kValueBias]) {
    w.vector.add(v, b + head * d_value, d_value, v);
  }
  if (c.layer.value_norm) w.vector.rms_norm(v, nullptr, w.spec.norm_eps, d_value, v);
  void* page = const_cast<void*>(sequence.v_pages(c.index, head)[position / kPageTokens]);
  w.vector.store_value(v, w.step.kv_type, d_value, page, position % kPageTokens);
}

// Every head of every row is one unit of work: queries, then keys, then values.
void FinishHeads(const Context& c) {
  const int n_kv = c.stores() ? c.layer.n_kv_heads : 0;
  const int64_t n_units = c.layer.n_heads + 2 * n_kv;
  const Range own = SplitRange(c.worker.n_rows() * n_units, c.worker.thread, c.worker.n_threads);
  for (const Segment& segment : c.worker.segments()) {
    const int64_t first = segment.first_row * n_units;
    const int64_t begin = std::max(own.begin, first);
    const int64_t end = std::min(own.end, first + segment.n_rows * n_units);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t row = unit / n_units;
      const int64_t in_segment = row - segment.first_row;
      const int64_t position = segment.first_position + in_segment;
      const int64_t step_row = segment.step_row + in_segment;
      int head = static_cast<int>(unit % n_units);
      if (head < c.layer.n_heads) {
        FinishQuery(c, row, head, step_row, position);
      } else if ((head -= c.layer.n_heads) < n_kv) {
        StoreKey(c, row, head, step_row, position, *segment.sequence);
      } else {
        StoreValue(c, row, head - n_kv, position, *segment.sequence);
      }
    }
  }
}

// Attention of rows [token, token + n_tokens) of a segment, heads [head, head + n_group) that read
// one KV head. `queries_by_step_row`: the queries still lie at their rows before Narrow().
void Attend(const Context& c, const Segment& segment, int64_t token, int64_t n_tokens, int head,
            int n_group, bool queries_by_step_row) {
  Worker& w = c.worker;
  const LayerSpec& layer = c.layer;
  const int kv_head = head / (layer.n_heads / layer.n_kv_heads);
  const int64_t query_row = (queries_by_step_row ? segment.step_row : segment.first_row) + token;
  const int64_t out_row = segment.first_row + token;
  kernels::AttentionArgs args{};
  args.q = c.query(query_row) + head * layer.d_head;
  args.q_token_stride = w.slot_stride(0);
  args.q_stride = layer.d_head;
  args.n_tokens = n_tokens;
  args.n_group = n_group;
  args.d_head = layer.d_head;
  args.d_value = layer.d_value;
  args.kv_type = w.step.kv_type;
  args.page_tokens = kPageTokens;
  args.k_pages = segment.sequence->k_pages(c.kv_layer, kv_head);
  args.v_pages = segment.sequence->v_pages(c.kv_layer, kv_head);
  args.position = segment.first_position + token;
  args.window = layer.window;
  args.scale = layer.attention_scale;
  args.softcap = layer.attention_softcap;
  args.may_round = segment.may_round;
  args.out = w.slot(4) + out_row * w.slot_stride(4) + head * layer.d_value;
  args.out_token_stride = w.slot_stride(4);
  args.out_stride = layer.d_value;
  args.scratch = w.scratch();
  w.step.table->attention(args);
  const int64_t column = int64_t{head} * layer.d_value,
                n_columns = int64_t{n_group} * layer.d_value;
  if (c.weights.Has(MatrixRole::kQueryGate)) {
    for (int64_t t = 0; t < n_tokens; ++t) {
      float* out = args.out + t * args.out_token_stride;
      const float* gate = w.slot(3) + (query_row + t) * w.slot_stride(3) + column;
      w.vector.sigmoid_mul(gate, out, n_columns, out);
    }
  }
  if (c.rounds_heads()) {
    w.RoundColumns(w.slot(4), w.slot_stride(4), c.n_mixed(), {out_row, out_row + n_tokens},
                   {column, column + n_columns});
  }
}

// Few calls (decode): heads are shared out one by one, so that threads do not wait for a KV head.
// Many (prefill): whole calls in turn, since later ones see more positions and take longer.
void AttendAll(const Context& c, bool queries_by_step_row) {
  const Worker& w = c.worker;
  const int n_group = c.layer.n_heads / c.layer.n_kv_heads;
  const int64_t n_tokens = AttentionTokens(c.layer);
  int64_t n_calls = 0;
  for (const Segment& segment : w.segments()) {
    n_calls += (segment.n_rows + n_tokens - 1) / n_tokens * c.layer.n_kv_heads;
  }
  const bool by_head = n_calls < 4 * w.n_threads;
  const Range own = SplitRange(n_calls * n_group, w.thread, w.n_threads);
  int64_t call = 0;
  for (const Segment& segment : w.segments()) {
    for (int64_t token = 0; token < segment.n_rows; token += n_tokens) {
      const int64_t n = std::min(n_tokens, segment.n_rows - token);
      for (int kv_head = 0; kv_head < c.layer.n_kv_heads; ++kv_head, ++call) {
        int begin = 0, end = n_group;
        if (by_head) {
          begin = static_cast<int>(std::max<int64_t>(own.begin - call * n_group, 0));
          end = static_cast<int>(std::min<int64_t>(own.end - call * n_group, n_group));
          if (begin >= end) continue;
        } else if (call % w.n_threads != w.thread) {
          continue;
        }
        Attend(c, segment, token, n, kv_head * n_group + begin, end - begin, queries_by_step_row);
      }
    }
  }
}

}  // namespace

void Attention(Worker& w, int index) {
  const LayerSpec& layer = w.spec.layers[static_cast<size_t>(index)];
  const LayerWeights& weights = w.step.weights->layers[static_cast<size_t>(index)];
  const Context c{w, index, layer, weights, layer.kv_from_layer < 0 ? index : layer.kv_from_layer};

  const tensor::Inputs inputs = w.Norm(weights[VectorRole::kMixerNorm]);
  w.Enter(Operation::kQkv);
  w.Multiply(inputs, {{&weights[MatrixRole::kQuery], w.slot(0), w.slot_stride(0)},
                      {&weights[MatrixRole::kQueryGate], w.slot(3), w.slot_stride(3)},
                      {&weights[MatrixRole::kKey], w.slot(1), w.slot_stride(1)},
                      {&weights[MatrixRole::kValue], w.slot(2), w.slot_stride(2)}});
  w.Barrier();
  w.Enter(Operation::kRotate);
  FinishHeads(c);
  // Keys and values of all rows are stored; nobody reads more of the rows without logits.
  const bool narrow = index == w.step.last_state_layer;
  if (narrow) {
    w.Narrow();
    if (w.n_rows() == 0) return;
  }
  w.Barrier();
  w.Enter(Operation::kAttention);
  AttendAll(c, narrow);
  w.Barrier();
  const tensor::Inputs mixed = c.rounds_heads()
                                   ? w.Rounded(w.slot(4), w.slot_stride(4), c.n_mixed())
                                   : w.Prepare(w.slot(4), w.slot_stride(4), c.n_mixed());
  w.Enter(Operation::kOutput);
  w.Multiply(mixed, {{&weights[MatrixRole::kOutput], w.y(0), w.step.workspace->y_stride}});
  w.Barrier();
}

}  // namespace lamina::model
