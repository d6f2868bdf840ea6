#include "text/hash.h"

#include <cstring>
#include <random>

namespace lamina::text {

const HashSeed& HashSeed::OfProcess() {
  static const HashSeed seed = [] {
    std::random_device random;
    const auto next = [&] { return uint64_t{random()} << 32 | random(); };
    return HashSeed{next(), next() | 1};
  }();
  return seed;
}

uint64_t HashBytes(const HashSeed& seed, std::string_view bytes) {
  uint64_t hash = bytes.size();
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    hash = HashNumber(seed, hash ^ word);
  }
  if (i < bytes.size()) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, bytes.size() - i);
    hash = HashNumber(seed, hash ^ word);
  }
  return hash;
}

}  // namespace lamina::text
