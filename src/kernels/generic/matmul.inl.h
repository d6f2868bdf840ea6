// Matrix products over panels, for any Simd (quant/simd_scalar.h) and any weight type.
//
// The arithmetic of one output is fixed: per block of 32 inputs (and half of it, where the type has
// two scales) an exact integer sum, then f = fma(min, scale * sum of inputs, f) where the type has
// a minimum, then f = fma(float(integer sum), weight scale * input scale, f), blocks in order of k.
// Every tile below computes just that, so its shape is a matter of speed alone.
#pragma once

#include <stdint.h>

#include "kernels/table.h"
#include "quant/panel.h"
#include "quant/unroll.h"

namespace lamina::kernels {
namespace {

using quant::kRows;
using quant::Unroll;

// Memory latency is hidden by asking for the panel's bytes this far ahead; 8 KiB measured best.
constexpr int64_t kPrefetchBytes = 8192;

// An expanded panel is one stream: per block weights as bytes [8][64], scales [halves][16] f32, and
// minima likewise where the type has them.
template <class Q>
constexpr int64_t kExpandedBytes = 512 + 64 * Q::kHalves*(Q::kHasMin ? 2 : 1);

template <class S, class Q>
LAMINA_INLINE void PrefetchBlock(const uint8_t* planes) {
#pragma GCC unroll 9
  for (int i = 0; i <= Q::Planes::kBytes; i += 64) S::Prefetch(planes + i);
}

/// Reads a panel as it is packed; scales are expanded a group of blocks at a time.
template <class S, class Q>
struct PackedPanel {
  static constexpr bool kPrefetch = true;
  static constexpr int kScales = Q::kBlocksPerGroup * Q::kHalves * kRows;
  const uint8_t* panel;
  int64_t n_blocks;
  const uint8_t* ahead;
  const uint8_t* planes;
  const float* block_scale;
  const float* block_min;
  alignas(64) float scale[kScales];
  alignas(64) float min[kScales];

  LAMINA_INLINE void Init(const uint8_t* packed, int64_t n, const uint8_t* wanted_next) {
    panel = packed;
    n_blocks = n;
    ahead = wanted_next;
  }
  LAMINA_INLINE void Enter(int64_t b) {
    if (b % Q::kBlocksPerGroup == 0) {
      Q::template LoadScales<S>(panel, b, n_blocks, scale, min);
      // What is read from the panel's end is far from the stream: it is asked for a panel ahead.
      if constexpr (Q::kHasTail) {
        S::Prefetch(panel + Q::PanelBytes(n_blocks) + Q::TailOffset(b, n_blocks));
      }
    }
    const int64_t index = b % Q::kBlocksPerGroup * Q::kHalves * kRows;
    block_scale = scale + index;
    block_min = min + index;
    planes = panel + Q::WeightOffset(b, n_blocks);
    PrefetchBlock<S, Q>(ahead + (planes - panel));
  }
  template <int kStep>
  LAMINA_INLINE typename S::U8 Weights() const {
    return Q::template Load<S, kStep>(planes);
  }
};

/// Reads what Expand wrote.
template <class S, class Q>
struct ExpandedPanel {
  int64_t n_blocks;
  const uint8_t* ahead;
  const uint8_t* bytes;
  const uint8_t* planes;
  const float* block_scale;
  const float* block_min;

  LAMINA_INLINE void Init(const uint8_t* expanded, int64_t n, const uint8_t* wanted_next) {
    n_blocks = n;
    ahead = wanted_next;
    bytes = expanded;
  }
  LAMINA_INLINE void Enter(int64_t b) {
    planes = bytes + b * kExpandedBytes<Q>;
    block_scale = reinterpret_cast<const float*>(planes + 512);
    block_min = block_scale + Q::kHalves * kRows;
    if (ahead != nullptr) PrefetchBlock<S, Q>(ahead + Q::WeightOffset(b, n_blocks));
  }
  template <int kStep>
  LAMINA_INLINE typename S::U8 Weights() const {
    return S::LoadBytes(planes + 64 * kStep);
  }
};

template <class S, class Q>
__attribute__((noinline)) void Expand(const uint8_t* panel, int64_t n_blocks, uint8_t* out) {
  PackedPanel<S, Q> in;
  in.Init(panel, n_blocks, panel + kPrefetchBytes);
  for (int64_t b = 0; b < n_blocks; ++b, out += kExpandedBytes<Q>) {
    in.Enter(b);
    Unroll<0, 8>([&](auto step) LAMINA_INLINE_LAMBDA {
      constexpr int kStep = decltype(step)::value;
      S::StoreBytes(out + 64 * kStep, in.template Weights<kStep>());
    });
    auto* scales = reinterpret_cast<float*>(out + 512);
    Unroll<0, Q::kHalves>([&](auto half) LAMINA_INLINE_LAMBDA {
      S::StoreF32(scales + kRows * half, S::LoadF32(in.block_scale + kRows * half));
      if constexpr (Q::kHasMin) {
        S::StoreF32(scales + kRows * (Q::kHalves + half), S::LoadF32(in.block_min + kRows * half));
      }
    });
  }
}

/// The f32 sums of a tile: in registers, or, where there are too few, in memory that is touched
/// once per block. Left to itself the compiler spills what the inner loop needs.
template <class S, int kCount, bool kInMemory>
struct Sums {
  typename S::F32 lanes[kCount];
  LAMINA_INLINE void Settle() {}
  LAMINA_INLINE typename S::F32 Get(int i) const { return lanes[i]; }
  LAMINA_INLINE void Set(int i, typename S::F32 value) { lanes[i] = value; }
};
template <class S, int kCount>
struct Sums<S, kCount, true> {
  alignas(64) float lanes[kCount][kRows];
  LAMINA_INLINE void Settle() { __asm__ volatile("" : : "r"(&lanes) : "memory"); }
  LAMINA_INLINE typename S::F32 Get(int i) const { return S::LoadF32(lanes[i]); }
  LAMINA_INLINE void Set(int i, typename S::F32 value) { S::StoreF32(lanes[i], value); }
};

/// Block b of kT rows of inputs. With kFewPointers row t is reached from every third row's pointer
/// plus once or twice the stride, which x86 adds in the operand: where sums take their share of the
/// compiler's attention a pointer per row is spilled.
template <int kT, bool kFewPointers>
struct InputRows {
  static constexpr int kEvery = 3;
  static constexpr int kBases = (kT + kEvery - 1) / kEvery;
  const char* base[kBases];
  int64_t stride;

  LAMINA_INLINE void Init(const ActBlock* x, int64_t x_stride) {
    stride = x_stride * static_cast<int64_t>(sizeof(ActBlock));
    for (int i = 0; i < kBases; ++i) {
      base[i] = reinterpret_cast<const char*>(x + kEvery * i * x_stride);
    }
  }
  LAMINA_INLINE void Next() {
    for (const char*& p : base) {
      p += sizeof(ActBlock);
      __asm__("" : "+r"(p));  // else the compiler makes kT pointers of them
    }
  }
  LAMINA_INLINE const ActBlock& Row(int t) const {
    return *reinterpret_cast<const ActBlock*>(base[t / kEvery] + t % kEvery * stride);
  }
};
template <int kT>
struct InputRows<kT, false> {
  const ActBlock* x;
  int64_t stride;
  LAMINA_INLINE void Init(const ActBlock* first, int64_t x_stride) {
    x = first;
    stride = x_stride;
  }
  LAMINA_INLINE void Next() { ++x; }
  LAMINA_INLINE const ActBlock& Row(int t) const { return x[t * stride]; }
};

/// The integer sums of a CPU for one row of inputs, or for two that are multiplied at once.
template <class S, int kMax, int kSteps, int kSumRows>
struct SumFor {
  using Type = typename S::template Sum<kMax, kSteps>;
};
template <class S, int kMax, int kSteps>
struct SumFor<S, kMax, kSteps, 2> {
  using Type = typename S::template PairSum<kMax, kSteps>;
};
template <class S, int kMax, int kSteps, int kSumRows>
using SumOf = typename SumFor<S, kMax, kSteps, kSumRows>::Type;

/// kP panels times kT rows. Panel p starts at panels + p * panel_stride and meanwhile asks for what
/// lies at ahead + p * ahead_stride, null = nothing; y as in MatmulArgs.
template <class S, class Q, template <class, class> class Panel, int kP, int kT>
__attribute__((noinline)) void Tile(const uint8_t* panels, int64_t panel_stride,
                                    const uint8_t* ahead, int64_t ahead_stride, int64_t n_blocks,
                                    const ActBlock* x, int64_t x_stride, float* y, int64_t y_stride,
                                    bool accumulate) {
  using F32 = typename S::F32;
  constexpr int kSteps = 8 / Q::kHalves;
  // Rows of inputs that one integer sum takes; of an odd number the last is taken twice.
  constexpr int kSumRows = kT == 1 ? 1 : S::kSumRows;
  constexpr int kSums = (kT + kSumRows - 1) / kSumRows;
  using Sum = SumOf<S, Q::kMax, kSteps, kSumRows>;
  const auto second = [](int i) LAMINA_INLINE_LAMBDA { return 2 * i + 1 < kT ? 2 * i + 1 : 2 * i; };
  Panel<S, Q> panel[kP];
  Sums<S, kP * kT, (kP * kT > S::kSumsInRegisters)> f;
  Unroll<0, kP * kT>([&](auto i) LAMINA_INLINE_LAMBDA { f.Set(i, S::SetF32(0.0f)); });
  for (int p = 0; p < kP; ++p) {
    panel[p].Init(panels + p * panel_stride, n_blocks,
                  ahead == nullptr ? nullptr : ahead + p * ahead_stride);
  }
  InputRows<kT, (kP * kT >= S::kTileOfFewPointers)> rows;
  rows.Init(x, x_stride);
  for (int64_t b = 0; b < n_blocks; ++b, rows.Next()) {
    f.Settle();
    Unroll<0, kP>([&](auto p) LAMINA_INLINE_LAMBDA { panel[p].Enter(b); });
    Unroll<0, Q::kHalves>([&](auto half) LAMINA_INLINE_LAMBDA {
      constexpr int kHalf = decltype(half)::value;
      // The weights' bias times the sum of the inputs, where weights are stored with a bias.
      constexpr int kShift = S::template kBiased<Q::kMax> ? Q::kBiasShift : quant::kNoBias;
      const auto start = [&](auto t) LAMINA_INLINE_LAMBDA {
        const ActBlock& block = rows.Row(t);
        return Q::kHalves == 2 ? &block.neg_sum16[kHalf] : &block.neg_sum;
      };
      Sum sum[kP][kSums];
      Unroll<0, kSums>([&](auto i) LAMINA_INLINE_LAMBDA {
        Unroll<0, kP>([&](auto p) LAMINA_INLINE_LAMBDA {
          if constexpr (kSumRows == 1) {
            sum[p][i].template Start<kShift>(start(i));
          } else {
            sum[p][i].template Start<kShift>(start(2 * i), start(second(i)));
          }
        });
      });
      Unroll<0, kSteps>([&](auto i) LAMINA_INLINE_LAMBDA {
        // Without halves steps go 0, 4, 1, 5, ...: the two nibbles of one load side by side.
        constexpr int kI = decltype(i)::value;
        constexpr int kStep = Q::kHalves == 2 ? kHalf * 4 + kI : kI / 2 + 4 * (kI & 1);
        decltype(S::template Prepare<Q::kMax>(panel[0].template Weights<kStep>())) w[kP];
        Unroll<0, kP>([&](auto p) LAMINA_INLINE_LAMBDA {
          w[p] = S::template Prepare<Q::kMax>(panel[p].template Weights<kStep>());
        });
        Unroll<0, kSums>([&](auto t) LAMINA_INLINE_LAMBDA {
          const auto inputs = [&]() LAMINA_INLINE_LAMBDA {
            if constexpr (kSumRows == 1) {
              return S::template Broadcast<kP>(rows.Row(t).q + 4 * kStep);
            } else {
              return S::Pair(rows.Row(2 * t).q + 4 * kStep, rows.Row(second(t)).q + 4 * kStep);
            }
          }();
          Unroll<0, kP>([&](auto p)
                            LAMINA_INLINE_LAMBDA { sum[p][t].template Add<kI>(w[p], inputs); });
        });
      });
      Unroll<0, kT>([&](auto t) LAMINA_INLINE_LAMBDA {
        const ActBlock& block = rows.Row(t);
        Unroll<0, kP>([&](auto p) LAMINA_INLINE_LAMBDA {
          F32 acc = f.Get(p * kT + t);
          if constexpr (Q::kHasMin) {
            const float input_sum =
                Q::kHalves == 2 ? block.scale * float(-block.neg_sum16[kHalf]) : block.scale_sum;
            acc = S::Fma(S::LoadF32(panel[p].block_min + kRows * kHalf), S::SetF32(input_sum), acc);
          }
          const F32 scale =
              S::Mul(S::LoadF32(panel[p].block_scale + kRows * kHalf), S::SetF32(block.scale));
          const auto total = [&]() LAMINA_INLINE_LAMBDA {
            if constexpr (kSumRows == 1) {
              return sum[p][t].template Total<kShift>(start(t));
            } else {
              return sum[p][t / 2].template Total<t % 2>();
            }
          }();
          f.Set(p * kT + t, S::Fma(S::ToF32(total), scale, acc));
        });
      });
    });
  }
  Unroll<0, kT>([&](auto t) LAMINA_INLINE_LAMBDA {
    Unroll<0, kP>([&](auto p) LAMINA_INLINE_LAMBDA {
      float* out = y + t * y_stride + p * kRows;
      const F32 total = f.Get(p * kT + t);
      S::StoreF32(out, accumulate ? S::AddF32(S::LoadF32(out), total) : total);
    });
  });
}

/// Types whose weights are a field of one load and whose scales need no arithmetic: unpacking them
/// again for every tile is cheaper than writing them down expanded, up to many rows.
template <class Q>
constexpr bool kUnpacksCheaply = Q::kBlocksPerGroup == 1 &&
                                 (Q::Planes::kBytes == quant::Bits4::kBytes ||
                                  Q::Planes::kBytes == quant::Bits8::kBytes);

/// All rows against kP panels, in as few tiles as there can be, of equal height: what a tile does
/// per panel costs the same for one row as for many. Packed, the first tile reads the panel from
/// memory, always a little ahead. The last one finds its weights in the cache and asks for the next
/// panels meanwhile.
template <class S, class Q, template <class, class> class Panel, int kP, int kMinT, int kMaxT>
LAMINA_INLINE void Tiles(const MatmulArgs& m, const uint8_t* panels, int64_t panel_stride,
                         int64_t panel) {
  const uint8_t* packed = m.panels + panel * m.panel_bytes;
  const uint8_t* soon = panels == packed ? packed + kPrefetchBytes : nullptr;
  int64_t row = 0;
  for (int64_t n_tiles = (m.n_rows + kMaxT - 1) / kMaxT; n_tiles > 0; --n_tiles) {
    const int64_t n = (m.n_rows - row + n_tiles - 1) / n_tiles;
    const bool last = n_tiles == 1 && !(row == 0 && panels == packed);
    Unroll<kMinT, kMaxT + 1>([&](auto t) LAMINA_INLINE_LAMBDA {
      constexpr int kT = decltype(t)::value;
      if (n != kT) return;
      Tile<S, Q, Panel, kP, kT>(panels, panel_stride, last ? packed + kP * m.panel_bytes : soon,
                                m.panel_bytes, m.n_cols / 32, m.x_int8 + row * m.x_stride,
                                m.x_stride, m.y + row * m.y_stride + panel * kRows, m.y_stride,
                                m.accumulate);
    });
    row += n;
  }
}

template <class S, class Q>
void MatmulInt8(const MatmulArgs& m) {
  constexpr int kMinRows = kUnpacksCheaply<Q> ? S::kMinRowsToExpandCheap : S::kMinRowsToExpand;
  if (m.n_rows < kMinRows) {
    for (int64_t panel = m.panel_begin; panel < m.panel_end; ++panel) {
      Tiles<S, Q, PackedPanel, 1, 1, S::kPackedTileRows>(m, m.panels + panel * m.panel_bytes, 0,
                                                         panel);
    }
    return;
  }
  // With n > kT rows no tile of equal ones is lower than kT / 2.
  constexpr int kP = S::kTilePanels, kT = S::kTileRows, kMinT = kT == 1 ? 1 : kT / 2;
  static_assert(kMinRows >= kMinT);
  const int64_t n_blocks = m.n_cols / 32;
  const int64_t stride = n_blocks * kExpandedBytes<Q>;
  for (int64_t panel = m.panel_begin; panel < m.panel_end;) {
    const int n_panels = m.panel_end - panel < kP ? 1 : kP;
    for (int p = 0; p < n_panels; ++p) {
      Expand<S, Q>(m.panels + (panel + p) * m.panel_bytes, n_blocks, m.scratch + p * stride);
    }
    if (n_panels == kP) {
      Tiles<S, Q, ExpandedPanel, kP, kMinT, kT>(m, m.scratch, stride, panel);
    } else {
      Tiles<S, Q, ExpandedPanel, 1, kMinT, kT>(m, m.scratch, stride, panel);
    }
    panel += n_panels;
  }
}

/// Float types: each output is one chain of FMAs over k = 0, 1, ...
template <class S, class Q, int kP, int kT>
__attribute__((noinline)) void FloatTile(const uint8_t* panels, int64_t panel_bytes, int64_t n_cols,
                                         const float* x, int64_t x_stride, float* y,
                                         int64_t y_stride, bool accumulate) {
  using F32 = typename S::F32;
  F32 f[kP][kT];
  Unroll<0, kP * kT>([&](auto i) LAMINA_INLINE_LAMBDA { f[i / kT][i % kT] = S::SetF32(0.0f); });
  for (int64_t k = 0; k < n_cols; ++k) {
    F32 w[kP];
    Unroll<0, kP>([&](auto p) LAMINA_INLINE_LAMBDA {
      const uint8_t* step = panels + p * panel_bytes + k * Q::kStepBytes;
      if constexpr (kT <= 2) S::Prefetch(step + kPrefetchBytes);
      w[p] = Q::template Load<S>(step);
    });
    Unroll<0, kT>([&](auto t) LAMINA_INLINE_LAMBDA {
      const F32 input = S::SetF32(x[t * x_stride + k]);
      Unroll<0, kP>([&](auto p) LAMINA_INLINE_LAMBDA { f[p][t] = S::Fma(w[p], input, f[p][t]); });
    });
  }
  Unroll<0, kP * kT>([&](auto i) LAMINA_INLINE_LAMBDA {
    constexpr int kPanel = i / kT, kRow = i % kT;
    float* out = y + kRow * y_stride + kPanel * kRows;
    S::StoreF32(out, accumulate ? S::AddF32(S::LoadF32(out), f[kPanel][kRow]) : f[kPanel][kRow]);
  });
}

template <class S, class Q>
void MatmulFloat(const MatmulArgs& m) {
  constexpr int kMaxT = S::kFloatTileRows;
  for (int64_t panel = m.panel_begin; panel < m.panel_end; ++panel) {
    const uint8_t* weights = m.panels + panel * m.panel_bytes;
    float* y = m.y + panel * kRows;
    int64_t row = 0;
    for (; row + kMaxT <= m.n_rows; row += kMaxT) {
      FloatTile<S, Q, 1, kMaxT>(weights, 0, m.n_cols, m.x_f32 + row * m.x_stride, m.x_stride,
                                y + row * m.y_stride, m.y_stride, m.accumulate);
    }
    Unroll<1, kMaxT>([&](auto t) LAMINA_INLINE_LAMBDA {
      constexpr int kT = decltype(t)::value;
      if (m.n_rows - row == kT) {
        FloatTile<S, Q, 1, kT>(weights, 0, m.n_cols, m.x_f32 + row * m.x_stride, m.x_stride,
                               y + row * m.y_stride, m.y_stride, m.accumulate);
      }
    });
  }
}

template <class S, class Q>
LAMINA_INLINE void Matmul(const MatmulArgs& m) {
  if constexpr (Q::kIsFloat) {
    MatmulFloat<S, Q>(m);
  } else {
    MatmulInt8<S, Q>(m);
  }
}

}  // namespace
}  // namespace lamina::kernels
