// What F32, F16 and BF16 share: no blocks; a panel holds, k after k, the 16 rows' weights.
#pragma once

#include "quant/panel.h"

namespace lamina::quant {

/// A derived type adds kName, kGgmlId, kBlockBytes, ToF32 and Load.
template <int kWeightBytes>
struct FloatType {
  static constexpr bool kIsFloat = true;
  static constexpr int kBlockValues = 1;
  static constexpr int kBlockBytes = kWeightBytes;
  static constexpr int kStepBytes = kRows * kWeightBytes;

  static LAMINA_INLINE int64_t FloatPanelBytes(int64_t n_cols) {
    return (n_cols * kStepBytes + 63) / 64 * 64;
  }
};

}  // namespace lamina::quant
