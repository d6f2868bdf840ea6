// Hashes for tables that files and texts from anywhere fill.
#pragma once

#include <cstdint>
#include <string_view>

namespace lamina::text {

/// Secret numbers, other ones in every process: without them nobody can write a vocabulary or a
/// text whose tokens all fall into one place of a table.
struct HashSeed {
  uint64_t start, factor;
  static const HashSeed& OfProcess();
};

/// Both halves of the product, so that every bit depends on every bit of both.
inline uint64_t FoldedProduct(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t HashNumber(const HashSeed& seed, uint64_t number) {
  return FoldedProduct(number ^ seed.start, seed.factor);
}

/// For short byte strings.
uint64_t HashBytes(const HashSeed& seed, std::string_view bytes);

}  // namespace lamina::text
