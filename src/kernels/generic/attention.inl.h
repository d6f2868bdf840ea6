// Attention over pages of keys and values with a running softmax (arXiv:2205.14135), once for every
// CPU; the contract is AttentionArgs in kernels/table.h.
//
// All rows (tokens x query heads of one KV head) go through the same blocks of 128 absolute
// positions. Up to S::kTileRows rows form a tile:
//
//     scores  [rows][128]  = q [d][rows]  x  K panels [d][16]      ScoreTile: rows x panels sums
//     softmax of the block, rescaling of what came before           SoftmaxBlock
//     sums    [rows][d_value] += scores   x  V [position][16]      ValueTile: rows x columns sums
//
// Few rows read the cache in its own type (decode). Many rows share one conversion of the block to
// f32. Each sum is one chain of FMAs over dimensions or positions in order, so all ways agree.
#pragma once

#include "kernels/generic/vector.inl.h"
#include "kernels/table.h"

namespace lamina::kernels {
namespace {

/// Most rows that read the cache without converting a block of it first.
template <class S>
constexpr int kMaxDirectRows = S::kTileRows < 4 ? S::kTileRows : 4;
/// Most rows of a tile over keys and values of type T.
template <class S, KvType T>
constexpr int kMaxRowsOf = T == KvType::kF32 ? S::kTileRows : kMaxDirectRows<S>;
constexpr int kPanels = kAttentionBlock / kKeyPanel;
constexpr float kNoScore = -1e30f;

/// 32 dimensions of a panel of keys, or 32 columns of a row of values, in the cache's type.
template <class S, KvType T>
struct KvReader {
  const uint8_t* at;
  /// Dimension k of 16 keys; `at` is the start of dimensions 0..31.
  typename S::F Key(int k) const {
    if constexpr (T == KvType::kF32) return S::Load(reinterpret_cast<const float*>(at) + 16 * k);
    if constexpr (T == KvType::kF16) return S::LoadF16(Words() + 16 * k);
    if constexpr (T == KvType::kBf16) return S::LoadBf16(Words() + 16 * k);
    if constexpr (T == KvType::kQ8_0) {
      return S::Mul(S::LoadF16(Words()),
                    S::LoadInt8(reinterpret_cast<const int8_t*>(at) + 32 + 16 * k));
    }
  }
  /// 16 columns of one position.
  typename S::F Value(int column) const {
    if constexpr (T == KvType::kF32) return S::Load(reinterpret_cast<const float*>(at) + column);
    if constexpr (T == KvType::kF16) return S::LoadF16(Words() + column);
    if constexpr (T == KvType::kBf16) return S::LoadBf16(Words() + column);
    if constexpr (T == KvType::kQ8_0) {
      const uint8_t* block = at + column / 32 * kKvBlockBytes;
      uint16_t scale;
      __builtin_memcpy(&scale, block, 2);
      return S::Mul(S::Set(S::HalfToFloat(scale)),
                    S::LoadInt8(reinterpret_cast<const int8_t*>(block) + 2 + column % 32));
    }
  }
  /// The last 8 columns of a row whose width is no multiple of 16; nothing is read past its end.
  typename S::F LastValues(int column) const {
    alignas(64) uint8_t padded[64] = {};
    if constexpr (T == KvType::kQ8_0) return Value(column);  // blocks are padded to 32
    constexpr int kBytes = T == KvType::kF32 ? 4 : 2;
    __builtin_memcpy(padded, at + kBytes * column, 8 * kBytes);
    return KvReader<S, T>{padded}.Value(0);
  }
  const uint16_t* Words() const { return reinterpret_cast<const uint16_t*>(at); }
};

/// Bytes of 32 dimensions of a panel of keys.
template <KvType T>
constexpr int kKeyStep = T == KvType::kF32    ? 32 * 16 * 4
                         : T == KvType::kQ8_0 ? kKeyPanel* kKvBlockBytes
                                              : 32 * 16 * 2;

/// One block of positions as the tiles see it.
struct KvBlock {
  const uint8_t* keys[kPanels];    ///< Panel i.
  const uint8_t* values[kPanels];  ///< Row 16 i; rows are value_row_bytes apart.
  int64_t value_row_bytes;
  int64_t value_column_bytes;  ///< From 16 columns to the next 16; 0 = inside a row of the cache.
  const KvBlock* next;         ///< What the cache holds for the next round; null = nothing.
};

/// Pages lie apart, which hides their order from the hardware: while a block is computed, 16
/// positions of the next are asked for at a time.
inline void Prefetch(const uint8_t* panel, int64_t row_bytes) {
  if (panel == nullptr) return;
  for (int64_t i = 0; i < kKeyPanel * row_bytes; i += 64) __builtin_prefetch(panel + i, 0, 2);
}

/// scores[row][16 panel + lane] = scale * q . K for P panels from `panel` on.
template <class S, KvType T, int R, int P>
[[gnu::noinline]] void ScoreTile(const float* q, int d, const KvBlock& block, int panel,
                                 float scale, float* scores) {
  typename S::F sum[R][P];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) sum[r][p] = S::Zero();
  }
  for (int k0 = 0; k0 < d; k0 += 32) {
    KvReader<S, T> keys[P];
    for (int p = 0; p < P; ++p) keys[p].at = block.keys[panel + p] + k0 / 32 * kKeyStep<T>;
    const int n = d - k0 < 32 ? d - k0 : 32;
    for (int k = 0; k < n; ++k, q += R) {
      typename S::F key[P];
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) key[p] = keys[p].Key(k);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const auto factor = S::Set(q[r]);
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) sum[r][p] = S::Fma(factor, key[p], sum[r][p]);
      }
    }
  }
  const auto f = S::Set(scale);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      S::Store(scores + r * kAttentionBlock + 16 * (panel + p), S::Mul(sum[r][p], f));
    }
  }
}

/// sums[row][column..] = factor[row] * sums + scores x V for C groups of 16 columns, over the
/// positions [begin, end) of the block.
template <class S, KvType T, int R, int C, bool kLast>
[[gnu::noinline]] void ValueTile(const float* scores, const KvBlock& block, int begin, int end,
                                 int column, const float* factor, float* sums,
                                 int64_t sums_stride) {
  typename S::F sum[R][C];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    const auto f = S::Set(factor[r]);
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      sum[r][c] = S::Mul(S::Load(sums + r * sums_stride + column + 16 * c), f);
    }
  }
  const int64_t offset = block.value_column_bytes * (column / 16);
  const int inside = block.value_column_bytes == 0 ? column : 0;
  for (int i = begin; i < end;) {
    const int panel_end = (i / 16 + 1) * 16 < end ? (i / 16 + 1) * 16 : end;
    const uint8_t* row = block.values[i / 16] + (i % 16) * block.value_row_bytes + offset;
    for (; i < panel_end; ++i, row += block.value_row_bytes) {
      typename S::F value[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        const KvReader<S, T> reader{row + c * block.value_column_bytes};
        const int at = inside + (block.value_column_bytes == 0 ? 16 * c : 0);
        value[c] = kLast ? reader.LastValues(at) : reader.Value(at);
      }
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const auto weight = S::Set(scores[r * kAttentionBlock + i]);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) sum[r][c] = S::Fma(weight, value[c], sum[r][c]);
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) S::Store(sums + r * sums_stride + column + 16 * c, sum[r][c]);
  }
}

/// Running softmax of one row: what came before and what a block adds.
struct RowState {
  float max;    ///< Of all scores so far.
  float total;  ///< Sum of e^(score - max).
};

/// The panels [panel_begin, panel_end) of a row's scores become e^(score - max), zero outside the
/// positions [begin, end). Returns the factor for what was summed before.
template <class S>
inline float SoftmaxBlock(float* scores, int panel_begin, int panel_end, int begin, int end,
                          float softcap, RowState* state) {
  using F = typename S::F;
  static constexpr float kLanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const F minus_infinity = S::Set(-__builtin_inff());
  F max = S::Set(state->max);
  for (int panel = panel_begin; panel < panel_end; ++panel) {
    F s = S::Load(scores + 16 * panel);
    if (softcap != 0) {
      const F cap = S::Set(softcap);
      s = S::Mul(cap, Tanh<S>(S::Div(s, cap)));
    }
    if (16 * panel < begin || 16 * panel + 16 > end) {
      const F index = S::Add(S::Load(kLanes), S::Set(static_cast<float>(16 * panel)));
      s = S::SelectLess(index, S::Set(static_cast<float>(begin)), minus_infinity, s);
      s = S::SelectLess(index, S::Set(static_cast<float>(end)), s, minus_infinity);
    }
    S::Store(scores + 16 * panel, s);
    max = S::Max(s, max);
  }
  const float new_max = S::ReduceMax(max);
  const F max_lanes = S::Set(new_max);
  F sum = S::Zero();
  for (int panel = panel_begin; panel < panel_end; ++panel) {
    const F e = Exp<S>(S::Sub(S::Load(scores + 16 * panel), max_lanes));
    S::Store(scores + 16 * panel, e);
    sum = S::Add(sum, e);
  }
  float factor = 1.0f;  // what Exp gives for 0
  if (new_max != state->max) {
    float lanes[16];
    S::Store(lanes, Exp<S>(S::Set(state->max - new_max)));
    factor = lanes[0];
  }
  state->max = new_max;
  state->total = state->total * factor + S::ReduceAdd(sum);
  return factor;
}

/// The part of a block that a row sees: positions [begin, end) of it, empty where begin >= end.
struct Visible {
  int begin, end;
};
inline Visible VisiblePart(const AttentionArgs& a, int64_t token, int64_t block_begin) {
  const int64_t end = a.position + token + 1 - block_begin;
  const int64_t begin = a.window > 0 ? end - a.window : 0;
  return {static_cast<int>(begin > 0 ? begin : 0),
          static_cast<int>(end < kAttentionBlock ? end : kAttentionBlock)};
}

/// One block for R rows of which the first is row `row` of the call.
template <class S, KvType T, int R>
void BlockTile(const AttentionArgs& a, const KvBlock& block, int64_t block_begin, int64_t row,
               const float* q, float* scores, RowState* state, float* sums, int64_t sums_stride) {
  const Visible first = VisiblePart(a, row / a.n_group, block_begin);
  const Visible last = VisiblePart(a, (row + R - 1) / a.n_group, block_begin);
  if (first.begin >= last.end) return;
  // Keys that must be converted need a register each while f32 ones are read by the FMA itself.
  constexpr int kSums = T == KvType::kF32 ? S::kAccumulators : S::kAccumulators - 1;
  constexpr int kMany = kSums / R < 1 ? 1 : kSums / R > 4 ? 4 : kSums / R;
  const int panel_begin = first.begin / 16, panel_end = (last.end + 15) / 16;
  const KvBlock* next = row == 0 ? block.next : nullptr;
  const int64_t key_bytes = KvRowBytes(a.kv_type, a.d_head);
  int panel = panel_begin;
  for (; panel + kMany <= panel_end; panel += kMany) {
    for (int p = 0; next != nullptr && p < kMany; ++p) Prefetch(next->keys[panel + p], key_bytes);
    ScoreTile<S, T, R, kMany>(q, a.d_head, block, panel, a.scale, scores);
  }
  if constexpr (kMany > 1) {
    for (; panel < panel_end; ++panel) {
      ScoreTile<S, T, R, 1>(q, a.d_head, block, panel, a.scale, scores);
    }
  }
  float factor[R];
  for (int r = 0; r < R; ++r) {
    const Visible part = VisiblePart(a, (row + r) / a.n_group, block_begin);
    factor[r] = SoftmaxBlock<S>(scores + r * kAttentionBlock, panel_begin, panel_end, part.begin,
                                part.end, a.softcap, state + r);
  }
  // Rows of the cache end at a multiple of 8, converted ones at one of 16.
  const int stored = (a.d_value + 7) / 8 * 8;
  const int whole = block.value_column_bytes == 0 ? stored / 16 * 16 : (a.d_value + 15) / 16 * 16;
  const int64_t value_bytes = KvRowBytes(a.kv_type, a.d_value);
  const int n_value_tiles = whole / (16 * kMany);
  int column = 0;
  for (; column + 16 * kMany <= whole; column += 16 * kMany) {
    for (int p = column / (16 * kMany); next != nullptr && p < kPanels; p += n_value_tiles) {
      Prefetch(next->values[p], value_bytes);
    }
    ValueTile<S, T, R, kMany, false>(scores, block, first.begin, last.end, column, factor, sums,
                                     sums_stride);
  }
  if constexpr (kMany > 1) {
    for (; column < whole; column += 16) {
      ValueTile<S, T, R, 1, false>(scores, block, first.begin, last.end, column, factor, sums,
                                   sums_stride);
    }
  }
  if (column < a.d_value) {
    ValueTile<S, T, R, 1, true>(scores, block, first.begin, last.end, column, factor, sums,
                                sums_stride);
  }
}

/// BlockTile for n_rows <= R rows.
template <class S, KvType T, int R>
void BlockRows(int n_rows, const AttentionArgs& a, const KvBlock& block, int64_t block_begin,
               int64_t row, const float* q, float* scores, RowState* state, float* sums,
               int64_t sums_stride) {
  if (n_rows == R) {
    BlockTile<S, T, R>(a, block, block_begin, row, q, scores, state, sums, sums_stride);
  } else if constexpr (R > 1) {
    BlockRows<S, T, R - 1>(n_rows, a, block, block_begin, row, q, scores, state, sums, sums_stride);
  }
}

/// The positions [begin, end) of a block as f32: keys in the cache's order, values in groups of 16
/// columns, [column / 16][128][16].
template <class S, KvType T>
void ConvertBlock(const AttentionArgs& a, int begin, int end, KvBlock* block, float* keys,
                  float* values) {
  const int64_t panel_floats = static_cast<int64_t>(a.d_head) * kKeyPanel;
  for (int panel = begin / 16; panel < (end + 15) / 16; ++panel) {
    float* out = keys + panel * panel_floats;
    for (int k = 0; k < a.d_head; ++k) {
      const KvReader<S, T> reader{block->keys[panel] + k / 32 * kKeyStep<T>};
      S::Store(out + 16 * k, reader.Key(k % 32));
    }
    block->keys[panel] = reinterpret_cast<const uint8_t*>(out);
  }
  constexpr int64_t kGroup = 16 * kAttentionBlock;
  for (int i = begin; i < end; ++i) {
    const KvReader<S, T> reader{block->values[i / 16] + (i % 16) * block->value_row_bytes};
    int column = 0;
    for (; column + 8 < a.d_value; column += 16) {
      S::Store(values + column / 16 * kGroup + 16 * i, reader.Value(column));
    }
    if (column < a.d_value) {
      S::Store(values + column / 16 * kGroup + 16 * i, reader.LastValues(column));
    }
  }
  for (int panel = 0; panel < kPanels; ++panel) {
    block->values[panel] = reinterpret_cast<const uint8_t*>(values + 256 * panel);
  }
  block->value_row_bytes = 16 * sizeof(float);
  block->value_column_bytes = kGroup * static_cast<int64_t>(sizeof(float));
}

/// Where the rows of one call keep what they need between blocks.
struct AttentionScratch {
  int tile_rows;    ///< Rows of a tile; the last may have fewer.
  float* q;         ///< Tiles, [d_head][rows of the tile] each.
  float* sums;      ///< [n_rows][sums_stride].
  RowState* state;  ///< [n_rows].
  float* scores;    ///< [S::kTileRows][kAttentionBlock].
  float* keys;      ///< A block as f32.
  float* values;
  int64_t sums_stride;
};

template <class S>
AttentionScratch PrepareRows(const AttentionArgs& a, int64_t n_rows, int tile_rows) {
  AttentionScratch s;
  s.tile_rows = tile_rows;
  auto* next = static_cast<float*>(a.scratch);
  const int64_t d = (a.d_head + 15) / 16 * 16;
  s.sums_stride = (a.d_value + 15) / 16 * 16;
  s.keys = next;
  s.values = s.keys + kAttentionBlock * d;
  s.scores = s.values + kAttentionBlock * s.sums_stride;
  s.sums = s.scores + S::kTileRows * kAttentionBlock;
  s.q = s.sums + n_rows * s.sums_stride;
  s.state = reinterpret_cast<RowState*>(s.q + n_rows * a.d_head);
  for (int64_t row = 0; row < n_rows; row += tile_rows) {
    const int64_t in_tile = n_rows - row < tile_rows ? n_rows - row : tile_rows;
    float* tile = s.q + row * a.d_head;
    for (int64_t r = 0; r < in_tile; ++r) {
      const int64_t token = (row + r) / a.n_group, group = (row + r) % a.n_group;
      const float* q = a.q + token * a.q_token_stride + group * a.q_stride;
      for (int k = 0; k < a.d_head; ++k) tile[k * in_tile + r] = q[k];
      s.state[row + r] = {kNoScore, 0.0f};
      for (int64_t i = 0; i < s.sums_stride; i += 16) {
        S::Store(s.sums + (row + r) * s.sums_stride + i, S::Zero());
      }
    }
  }
  return s;
}

/// One block for all rows.
template <class S, KvType T>
void BlockOfRows(const AttentionArgs& a, const KvBlock& block, int64_t block_begin, int64_t n_rows,
                 const AttentionScratch& s) {
  for (int64_t row = 0; row < n_rows; row += s.tile_rows) {
    const int in_tile = static_cast<int>(n_rows - row < s.tile_rows ? n_rows - row : s.tile_rows);
    BlockRows<S, T, kMaxRowsOf<S, T>>(in_tile, a, block, block_begin, row, s.q + row * a.d_head,
                                      s.scores, s.state + row, s.sums + row * s.sums_stride,
                                      s.sums_stride);
  }
}

/// f(block_begin, from, to, block) for the blocks that some row sees, each with the next one's
/// place in the cache; positions [from, to) of a block are stored.
template <KvType T, class F>
void ForEachBlock(const AttentionArgs& a, F f) {
  const int64_t key_bytes = KvRowBytes(T, a.d_head), value_bytes = KvRowBytes(T, a.d_value);
  const int64_t end = a.position + a.n_tokens;
  const int64_t begin = a.window > 0 && a.position + 1 > a.window ? a.position + 1 - a.window : 0;
  const auto block_at = [&](int64_t block_begin) {
    KvBlock block{};
    block.value_row_bytes = value_bytes;
    const int64_t last = end < block_begin + kAttentionBlock ? end : block_begin + kAttentionBlock;
    const int64_t first = begin > block_begin ? begin / 16 * 16 : block_begin;
    for (int64_t position = first; position < last; position += 16) {
      const int64_t page = position / a.page_tokens, row = position % a.page_tokens;
      const int64_t panel = (position - block_begin) / 16;
      block.keys[panel] = static_cast<const uint8_t*>(a.k_pages[page]) + row * key_bytes;
      block.values[panel] = static_cast<const uint8_t*>(a.v_pages[page]) + row * value_bytes;
    }
    return block;
  };
  KvBlock next = block_at(begin / kAttentionBlock * kAttentionBlock);
  for (int64_t block_begin = begin / kAttentionBlock * kAttentionBlock; block_begin < end;
       block_begin += kAttentionBlock) {
    const int from = static_cast<int>(begin > block_begin ? begin - block_begin : 0);
    const int to =
        static_cast<int>(end - block_begin < kAttentionBlock ? end - block_begin : kAttentionBlock);
    KvBlock block = next;
    next = block_at(block_begin + kAttentionBlock);
    if (block_begin + kAttentionBlock < end) block.next = &next;
    f(block_begin, from, to, block);
  }
}

/// The rows' results: what was summed over the sum of the weights.
template <class S>
void WriteRows(const AttentionArgs& a, int64_t n_rows, const RowState* state, const float* sums,
               int64_t sums_stride) {
  for (int64_t row = 0; row < n_rows; ++row) {
    const auto total = S::Set(state[row].total);
    float* out = a.out + row / a.n_group * a.out_token_stride + row % a.n_group * a.out_stride;
    Map<S>(sums + row * sums_stride, a.d_value, out, [total](auto x) { return S::Div(x, total); });
  }
}

template <class S, KvType T>
void AttentionOf(const AttentionArgs& a) {
  const int64_t n_rows = a.n_tokens * a.n_group;
  // Up to twice the direct rows it is cheaper to convert while reading, once per tile.
  constexpr int kDirect = kMaxDirectRows<S>;
  const bool direct = n_rows <= 2 * kDirect;
  const AttentionScratch s = PrepareRows<S>(
      a, n_rows,
      !direct ? S::kTileRows : static_cast<int>(n_rows <= kDirect ? n_rows : (n_rows + 1) / 2));
  ForEachBlock<T>(a, [&](int64_t block_begin, int from, int to, KvBlock& block) {
    if (T != KvType::kF32 && !direct) {
      ConvertBlock<S, T>(a, from, to, &block, s.keys, s.values);
      BlockOfRows<S, KvType::kF32>(a, block, block_begin, n_rows, s);
    } else {
      BlockOfRows<S, T>(a, block, block_begin, n_rows, s);
    }
  });
  WriteRows<S>(a, n_rows, s.state, s.sums, s.sums_stride);
}

template <class S>
void Attention(const AttentionArgs& a) noexcept {
  switch (a.kv_type) {
    case KvType::kF32:
      return AttentionOf<S, KvType::kF32>(a);
    case KvType::kF16:
      return AttentionOf<S, KvType::kF16>(a);
    case KvType::kBf16:
      return AttentionOf<S, KvType::kBf16>(a);
    case KvType::kQ8_0:
      return AttentionOf<S, KvType::kQ8_0>(a);
  }
}

}  // namespace
}  // namespace lamina::kernels
