// Arithmetic on untrusted sizes: every overflow is an error value, nowhere a wrapped number.
#pragma once

#include <cstdint>
#include <optional>

namespace lamina {

/// a + b, or nothing if it does not fit in 64 bits.
inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// a * b, or nothing if it does not fit in 64 bits.
inline std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The smallest multiple of `alignment` (a power of two) that is at least `offset`.
inline std::optional<uint64_t> CheckedAlignUp(uint64_t offset, uint64_t alignment) {
  auto sum = CheckedAdd(offset, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(alignment - 1);
}

}  // namespace lamina
