// TypeInfo of one type, made from its layout header. Included by one generated unit per type.
#pragma once

#include <algorithm>
#include <cstring>

#include "quant/simd_scalar.h"
#include "quant/type.h"

namespace lamina::quant {
namespace {

static_assert(kRows == kPanelRows);

template <class T>
float Value(const Weights32& w, int k) {
  constexpr int kBias = T::kBiasShift < 0 ? 0 : 1 << (T::kBiasShift < 0 ? 0 : T::kBiasShift);
  const float product = w.scale[k / 16] * float(int(w.u[k]) - kBias);
  if constexpr (T::kHasMin) return product + w.min[k / 16];
  return product;
}

template <class T>
void Dequantize(const uint8_t* blocks, int64_t n_blocks, float* out) noexcept {
  if constexpr (T::kIsFloat) {
    for (int64_t i = 0; i < n_blocks; ++i) out[i] = T::ToF32(blocks + i * T::kBlockBytes);
  } else {
    Weights32 w = {};
    for (int64_t b = 0; b < n_blocks; ++b, blocks += T::kBlockBytes) {
      for (int sub = 0; sub < T::kBlockValues / 32; ++sub, out += 32) {
        T::Split(blocks, sub, &w);
        for (uint8_t& u : w.u) u = T::Weight(u);
        for (int k = 0; k < 32; ++k) out[k] = Value<T>(w, k);
      }
    }
  }
}

template <class T>
int64_t PanelBytes(int64_t n_cols) noexcept {
  if constexpr (T::kIsFloat)
    return T::FloatPanelBytes(n_cols);
  else
    return T::PanelBytes(n_cols / 32);
}

template <class T>
void PackFloatPanel(const uint8_t* const* rows, int64_t n_cols, uint8_t* panel) {
  constexpr int kBytes = T::kBlockBytes;
  // Stretches of columns, so that the panel's lines stay in the cache while 16 rows write to them.
  for (int64_t begin = 0; begin < n_cols; begin += 64) {
    const int64_t end = std::min(begin + 64, n_cols);
    for (int row = 0; row < kRows; ++row) {
      if (rows[row] == nullptr) continue;
      for (int64_t k = begin; k < end; ++k)
        std::memcpy(panel + k * T::kStepBytes + row * kBytes, rows[row] + k * kBytes, kBytes);
    }
  }
}

template <class T>
void PackPanel(const uint8_t* const* rows, int64_t n_cols, uint8_t* panel) noexcept {
  // Padding, and the rows that are null.
  std::memset(panel, 0, size_t(PanelBytes<T>(n_cols)));
  if constexpr (T::kIsFloat) {
    PackFloatPanel<T>(rows, n_cols, panel);
  } else {
    constexpr int kSubBlocks = T::kBlockValues / 32;
    const int64_t n_blocks = n_cols / 32;
    Weights32 w = {};
    for (int64_t b = 0; b < n_blocks; b += kSubBlocks) {
      for (int row = 0; row < kRows; ++row) {
        if (rows[row] == nullptr) continue;
        const uint8_t* block = rows[row] + b / kSubBlocks * T::kBlockBytes;
        T::PutScales(block, b, n_blocks, row, panel);
        for (int sub = 0; sub < kSubBlocks; ++sub) {
          T::Split(block, sub, &w);
          T::Planes::Put(w.u, row, panel + T::WeightOffset(b + sub, n_blocks));
        }
      }
    }
  }
}

template <class T>
void UnpackRow(const uint8_t* panel, int row, int64_t n_cols, float* out) noexcept {
  if constexpr (T::kIsFloat) {
    for (int64_t k = 0; k < n_cols; ++k)
      out[k] = T::ToF32(panel + k * T::kStepBytes + row * T::kBlockBytes);
  } else {
    constexpr int kGroup = T::kBlocksPerGroup;
    const int64_t n_blocks = n_cols / 32;
    float scale[kGroup * T::kHalves * kRows] = {};
    float min[kGroup * T::kHalves * kRows] = {};
    Weights32 w = {};
    for (int64_t b = 0; b < n_blocks; ++b, out += 32) {
      if (b % kGroup == 0) T::template LoadScales<ScalarSimd>(panel, b, n_blocks, scale, min);
      const uint8_t* planes = panel + T::WeightOffset(b, n_blocks);
      Unroll<0, 8>([&](auto step) LAMINA_INLINE_LAMBDA {
        const ScalarSimd::U8 bytes = T::template Load<ScalarSimd, decltype(step)::value>(planes);
        std::memcpy(w.u + 4 * step, bytes.v + 4 * row, 4);
      });
      for (int half = 0; half < 2; ++half) {
        const int64_t index = (b % kGroup * T::kHalves + half * (T::kHalves - 1)) * kRows + row;
        w.scale[half] = scale[index];
        w.min[half] = min[index];
      }
      for (int k = 0; k < 32; ++k) out[k] = Value<T>(w, k);
    }
  }
}

template <class T>
constexpr TypeInfo MakeTypeInfo() {
  return {T::kName,       T::kGgmlId,     T::kBlockValues, T::kBlockBytes, T::kIsFloat,
          &Dequantize<T>, &PanelBytes<T>, &PackPanel<T>,   &UnpackRow<T>};
}

}  // namespace
}  // namespace lamina::quant
