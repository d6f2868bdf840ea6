// Attention of many rows with operands rounded to bf16, for CPUs that multiply pairs of bf16 into
// f32 sums (twice the products of an f32 FMA). Blocks, running softmax and contract are those of
// attention.inl.h; only the operands are narrower, and scores, weights' sum and outputs stay f32.
//
// An operand is a vector of 16 lanes of two neighbours along the sum:
//     q        [d / 2][rows of the tile]      2 dimensions, broadcast
//     keys     [panel][d / 2][16 positions]   2 dimensions of 16 positions
//     weights  [row][128 / 2]                 2 positions, broadcast
//     values   [column / 16][128 / 2][16]     2 positions of 16 columns
// A tile is up to 12 rows by 2 vectors: 24 sums in registers, 14 loads for 24 products.
#pragma once

#include "kernels/generic/attention.inl.h"

namespace lamina::kernels {
namespace {

constexpr int kRoundedTileRows = 12;
constexpr int kPairs = kAttentionBlock / 2;

/// scores[row][16 panel + lane] = scale * q . K for two panels.
template <class S, int R>
[[gnu::noinline]] void RoundedScores(const uint32_t* q, int n_pairs, const uint32_t* keys,
                                     float scale, float* scores) {
  typename S::F sum[R][2];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) sum[r][0] = sum[r][1] = S::Zero();
  const uint32_t* second = keys + 16 * n_pairs;
  for (int k = 0; k < n_pairs; ++k, q += R) {
    const auto a = S::LoadPairs(keys + 16 * k), b = S::LoadPairs(second + 16 * k);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const auto factor = S::BroadcastPair(q + r);
      sum[r][0] = S::Dot(sum[r][0], factor, a);
      sum[r][1] = S::Dot(sum[r][1], factor, b);
    }
  }
  const auto f = S::Set(scale);
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
    S::Store(scores + r * kAttentionBlock, S::Mul(sum[r][0], f));
    S::Store(scores + r * kAttentionBlock + 16, S::Mul(sum[r][1], f));
  }
}

/// sums[row][16 c ..] = factor[row] * sums + weights x V for C groups of 16 columns over the pairs
/// of positions [begin, end).
template <class S, int R, int C>
[[gnu::noinline]] void RoundedValues(const uint32_t* weights, const uint32_t* values, int begin,
                                     int end, const float* factor, float* sums,
                                     int64_t sums_stride) {
  typename S::F sum[R][C];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
    const auto f = S::Set(factor[r]);
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c) sum[r][c] = S::Mul(S::Load(sums + r * sums_stride + 16 * c), f);
  }
  for (int i = begin; i < end; ++i) {
    typename S::Pairs value[C];
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c) value[c] = S::LoadPairs(values + 16 * (c * kPairs + i));
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const auto weight = S::BroadcastPair(weights + r * kPairs + i);
#pragma GCC unroll 2
      for (int c = 0; c < C; ++c) sum[r][c] = S::Dot(sum[r][c], weight, value[c]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c) S::Store(sums + r * sums_stride + 16 * c, sum[r][c]);
  }
}

/// Where the rows of one call keep what they need between blocks.
struct RoundedScratch {
  int tile_rows;  ///< Rows of a tile; the last may have fewer.
  uint32_t* q;    ///< Tiles, [d_head / 2][rows of the tile] each.
  uint32_t* keys;
  uint32_t* values;
  uint32_t* weights;
  float* scores;  ///< [kRoundedTileRows][kAttentionBlock].
  float* sums;    ///< [n_rows][sums_stride].
  RowState* state;
  int64_t sums_stride;
};

template <class S>
RoundedScratch PrepareRoundedRows(const AttentionArgs& a, int64_t n_rows) {
  RoundedScratch s;
  const int64_t n_tiles = (n_rows + kRoundedTileRows - 1) / kRoundedTileRows;
  s.tile_rows = static_cast<int>((n_rows + n_tiles - 1) / n_tiles);
  s.sums_stride = (a.d_value + 15) / 16 * 16;
  const int64_t n_pairs = (a.d_head + 1) / 2;
  s.keys = static_cast<uint32_t*>(a.scratch);
  s.values = s.keys + kAttentionBlock * n_pairs;
  s.weights = s.values + kPairs * s.sums_stride;
  s.scores = reinterpret_cast<float*>(s.weights + kRoundedTileRows * kPairs);
  s.sums = s.scores + kRoundedTileRows * kAttentionBlock;
  s.state = reinterpret_cast<RowState*>(s.sums + n_rows * s.sums_stride);
  s.q = reinterpret_cast<uint32_t*>(s.state + n_rows);
  for (int64_t row = 0; row < n_rows; row += s.tile_rows) {
    const int64_t in_tile = n_rows - row < s.tile_rows ? n_rows - row : s.tile_rows;
    uint32_t* tile = s.q + row * n_pairs;
    for (int64_t r = 0; r < in_tile; ++r) {
      const int64_t token = (row + r) / a.n_group, group = (row + r) % a.n_group;
      const float* q = a.q + token * a.q_token_stride + group * a.q_stride;
      for (int64_t k = 0; k < n_pairs; k += 8) {
        const int64_t n_left = a.d_head - 2 * k;
        uint32_t pairs[8];
        NarrowPart<S>(q + 2 * k, KvType::kBf16, n_left, reinterpret_cast<uint16_t*>(pairs));
        for (int64_t i = 0; i < 8 && k + i < n_pairs; ++i) tile[(k + i) * in_tile + r] = pairs[i];
      }
      s.state[row + r] = {kNoScore, 0.0f};
      for (int64_t i = 0; i < s.sums_stride; i += 16) {
        S::Store(s.sums + (row + r) * s.sums_stride + i, S::Zero());
      }
    }
  }
  return s;
}

/// The positions [begin, end) of a block as pairs; zeros up to whole pairs of panels.
template <class S, KvType T>
void RoundBlock(const AttentionArgs& a, const KvBlock& block, int begin, int end,
                const RoundedScratch& s) {
  const auto zero = S::MakePairs(S::Zero(), S::Zero());
  for (int panel = begin / 32 * 2; panel < (end + 31) / 32 * 2; ++panel) {
    uint32_t* out = s.keys + panel * (16 * ((a.d_head + 1) / 2));
    const bool stored = 16 * panel + 16 > begin && 16 * panel < end;
    for (int k = 0; k < a.d_head; k += 2, out += 16) {
      if (stored) {
        const KvReader<S, T> reader{block.keys[panel] + k / 32 * kKeyStep<T>};
        const auto second = k + 1 < a.d_head ? reader.Key(k % 32 + 1) : S::Zero();
        S::StorePairs(out, S::MakePairs(reader.Key(k % 32), second));
      } else {
        S::StorePairs(out, zero);
      }
    }
  }
  for (int pair = begin / 2; pair < (end + 1) / 2; ++pair) {
    KvReader<S, T> rows[2];
    for (int i = 0; i < 2; ++i) {
      const int at = 2 * pair + i;
      rows[i].at = at < begin || at >= end
                       ? nullptr
                       : block.values[at / 16] + at % 16 * block.value_row_bytes;
    }
    for (int column = 0; column < a.d_value; column += 16) {
      typename S::F value[2];
      for (int i = 0; i < 2; ++i) {
        value[i] = rows[i].at == nullptr    ? S::Zero()
                   : column + 8 < a.d_value ? rows[i].Value(column)
                                            : rows[i].LastValues(column);
      }
      S::StorePairs(s.values + column * kPairs + 16 * pair, S::MakePairs(value[0], value[1]));
    }
  }
}

/// One block for R rows of which the first is row `row` of the call.
template <class S, int R>
void RoundedTile(const AttentionArgs& a, const KvBlock& block, int64_t block_begin, int64_t row,
                 const RoundedScratch& s) {
  const Visible first = VisiblePart(a, row / a.n_group, block_begin);
  const Visible last = VisiblePart(a, (row + R - 1) / a.n_group, block_begin);
  if (first.begin >= last.end) return;
  const int n_pairs = (a.d_head + 1) / 2;
  const int panel_begin = first.begin / 32 * 2, panel_end = (last.end + 31) / 32 * 2;
  const KvBlock* next = row == 0 ? block.next : nullptr;
  for (int panel = panel_begin; panel < panel_end; panel += 2) {
    for (int i = panel; next != nullptr && i < panel + 2; ++i) {
      Prefetch(next->keys[i], KvRowBytes(a.kv_type, a.d_head));
      Prefetch(next->values[i], KvRowBytes(a.kv_type, a.d_value));
    }
    RoundedScores<S, R>(s.q + row * n_pairs, n_pairs, s.keys + panel * (16 * n_pairs), a.scale,
                        s.scores + 16 * panel);
  }
  float factor[R];
  for (int r = 0; r < R; ++r) {
    const Visible part = VisiblePart(a, (row + r) / a.n_group, block_begin);
    float* scores = s.scores + r * kAttentionBlock;
    factor[r] = SoftmaxBlock<S>(scores, panel_begin, panel_end, part.begin, part.end, a.softcap,
                                s.state + row + r);
    for (int panel = panel_begin; panel < panel_end; panel += 2) {
      S::StorePairs(s.weights + r * kPairs + 8 * panel,
                    S::Narrow(S::Load(scores + 16 * panel), S::Load(scores + 16 * panel + 16)));
    }
  }
  const int begin = first.begin / 2, end = (last.end + 1) / 2;
  float* sums = s.sums + row * s.sums_stride;
  int column = 0;
  for (; column + 32 <= s.sums_stride; column += 32) {
    RoundedValues<S, R, 2>(s.weights, s.values + column * kPairs, begin, end, factor, sums + column,
                           s.sums_stride);
  }
  if (column < s.sums_stride) {
    RoundedValues<S, R, 1>(s.weights, s.values + column * kPairs, begin, end, factor, sums + column,
                           s.sums_stride);
  }
}

/// RoundedTile for n_rows <= R rows.
template <class S, int R>
void RoundedRows(int n_rows, const AttentionArgs& a, const KvBlock& block, int64_t block_begin,
                 int64_t row, const RoundedScratch& s) {
  if (n_rows == R) {
    RoundedTile<S, R>(a, block, block_begin, row, s);
  } else if constexpr (R > 1) {
    RoundedRows<S, R - 1>(n_rows, a, block, block_begin, row, s);
  }
}

template <class S, KvType T>
void RoundedAttentionOf(const AttentionArgs& a) {
  const int64_t n_rows = a.n_tokens * a.n_group;
  const RoundedScratch s = PrepareRoundedRows<S>(a, n_rows);
  ForEachBlock<T>(a, [&](int64_t block_begin, int from, int to, KvBlock& block) {
    RoundBlock<S, T>(a, block, from, to, s);
    for (int64_t row = 0; row < n_rows; row += s.tile_rows) {
      const int in_tile = static_cast<int>(n_rows - row < s.tile_rows ? n_rows - row : s.tile_rows);
      RoundedRows<S, kRoundedTileRows>(in_tile, a, block, block_begin, row, s);
    }
  });
  WriteRows<S>(a, n_rows, s.state, s.sums, s.sums_stride);
}

/// Attention, rounded where the call allows it and the cache is not f32.
template <class S>
void RoundedAttention(const AttentionArgs& a) noexcept {
  if (!a.may_round) return Attention<S>(a);
  switch (a.kv_type) {
    case KvType::kF32:
      return Attention<S>(a);
    case KvType::kF16:
      return RoundedAttentionOf<S, KvType::kF16>(a);
    case KvType::kBf16:
      return RoundedAttentionOf<S, KvType::kBf16>(a);
    case KvType::kQ8_0:
      return RoundedAttentionOf<S, KvType::kQ8_0>(a);
  }
}

}  // namespace
}  // namespace lamina::kernels
