// What a type's packing does, as a number.
#pragma once

#include <cstdint>

#include "quant/type.h"

namespace lamina::quant {

/// A checksum of packed probe panels of every shape that the layout tells apart. A cache of packed
/// weights is keyed by it, so that a changed layout never meets an old file: there is no version
/// that could be forgotten. About 10 us.
uint64_t PackingFingerprint(const TypeInfo& type);

}  // namespace lamina::quant
