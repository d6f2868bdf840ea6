// F32: IEEE binary32.
#pragma once

#include "quant/float_type.h"

namespace lamina::quant {

struct F32 : FloatType<4> {
  static constexpr const char* kName = "F32";
  static constexpr uint32_t kGgmlId = 0;

  static LAMINA_INLINE float ToF32(const uint8_t* weight) { return ReadAs<float>(weight); }
  template <class S>
  static LAMINA_INLINE typename S::F32 Load(const uint8_t* step) {
    return S::LoadF32(reinterpret_cast<const float*>(step));
  }
};

}  // namespace lamina::quant
