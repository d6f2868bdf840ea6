// BF16: the upper half of an IEEE binary32.
#pragma once

#include "quant/float_type.h"

namespace lamina::quant {

struct BF16 : FloatType<2> {
  static constexpr const char* kName = "BF16";
  static constexpr uint32_t kGgmlId = 30;

  static LAMINA_INLINE float ToF32(const uint8_t* weight) {
    return Bf16ToF32(ReadAs<uint16_t>(weight));
  }
  template <class S>
  static LAMINA_INLINE typename S::F32 Load(const uint8_t* step) {
    return S::LoadBf16(step);
  }
};

}  // namespace lamina::quant
