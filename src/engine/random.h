// A small portable generator of random numbers: one seed, one sequence, on every machine.
#pragma once

#include <cstdint>

namespace lamina::engine {

/// xoshiro256++ (Blackman and Vigna, doi:10.1145/3460772), seeded through SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }

  uint64_t Next() {
    const uint64_t result = Rotate(state_[0] + state_[3], 23) + state_[0];
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  /// Uniform in [0, 1), in steps of 2^-53.
  double NextUnit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  static uint64_t Rotate(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }
  uint64_t state_[4];
};

}  // namespace lamina::engine
