// F16: IEEE binary16.
#pragma once

#include "quant/float_type.h"

namespace lamina::quant {

struct F16 : FloatType<2> {
  static constexpr const char* kName = "F16";
  static constexpr uint32_t kGgmlId = 1;

  static LAMINA_INLINE float ToF32(const uint8_t* weight) {
    return F16ToF32(ReadAs<uint16_t>(weight));
  }
  template <class S>
  static LAMINA_INLINE typename S::F32 Load(const uint8_t* step) {
    return S::LoadF16(step);
  }
};

}  // namespace lamina::quant
