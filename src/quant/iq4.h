// The table of the IQ4 types.
#pragma once

#include <stdint.h>

namespace lamina::quant {

// Not inline: kernel units of different CPUs must not share a symbol.
/// 128 + {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}.
constexpr uint8_t kIq4Steps[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                   129, 141, 153, 166, 181, 197, 217, 241};

}  // namespace lamina::quant
