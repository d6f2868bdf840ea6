#include "base/checksum.h"

#include <bit>
#include <cstring>

namespace lamina {
namespace {

// The five primes of the specification.
constexpr uint64_t k1 = 0x9E3779B185EBCA87, k2 = 0xC2B2AE3D27D4EB4F, k3 = 0x165667B19E3779F9,
                   k4 = 0x85EBCA77C2B2AE63, k5 = 0x27D4EB2F165667C5;

static_assert(std::endian::native == std::endian::little);

template <class T>
T Take(const uint8_t*& at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  at += sizeof value;
  return value;
}

uint64_t Round(uint64_t lane, uint64_t input) { return std::rotl(lane + input * k2, 31) * k1; }

uint64_t Merge(uint64_t sum, uint64_t lane) { return (sum ^ Round(0, lane)) * k1 + k4; }

}  // namespace

uint64_t Checksum(Bytes bytes) {
  const uint8_t* at = bytes.data();
  size_t n_left = bytes.size();
  uint64_t sum = k5;
  if (n_left >= 32) {
    uint64_t a = k1 + k2, b = k2, c = 0, d = 0 - k1;
    for (; n_left >= 32; n_left -= 32) {
      a = Round(a, Take<uint64_t>(at));
      b = Round(b, Take<uint64_t>(at));
      c = Round(c, Take<uint64_t>(at));
      d = Round(d, Take<uint64_t>(at));
    }
    sum = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    for (const uint64_t lane : {a, b, c, d}) sum = Merge(sum, lane);
  }
  sum += bytes.size();
  for (; n_left >= 8; n_left -= 8) {
    sum = std::rotl(sum ^ Round(0, Take<uint64_t>(at)), 27) * k1 + k4;
  }
  if (n_left >= 4) {
    sum = std::rotl(sum ^ Take<uint32_t>(at) * k1, 23) * k2 + k3;
    n_left -= 4;
  }
  for (; n_left > 0; --n_left) sum = std::rotl(sum ^ Take<uint8_t>(at) * k5, 11) * k1;
  sum = (sum ^ sum >> 33) * k2;
  sum = (sum ^ sum >> 29) * k3;
  return sum ^ sum >> 32;
}

}  // namespace lamina
