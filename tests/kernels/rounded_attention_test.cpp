// Attention with operands rounded to bf16 against double over operands rounded likewise; equal bits
// however the work is cut, and the same from AVX-512 (emulated) as from AVX2's arithmetic.
#include <gtest/gtest.h>

#include <cstring>

#include "attention_cases.h"

namespace lamina::kernels {

extern const Table kRounded;   ///< emulated/avx2_bf16.h
extern const Table kEmulated;  ///< isa/avx512_bf16.h over portable code

namespace {

std::vector<Shape> RoundedShapes() {
  std::vector<Shape> shapes = Shapes();
  shapes.push_back({1, 64, 64, 600, 0, 0});
  shapes.push_back({4, 256, 256, 270, 40, 0});
  return shapes;
}

TEST(RoundedAttention, IsNearDoubleOfRoundedOperands) {
  for (const Shape& shape : RoundedShapes()) {
    for (KvType type : kTypes) {
      const Cache cache(kRounded, shape, type);
      const int64_t n = shape.n_positions, first = std::max<int64_t>(0, n - 20);
      const auto out = cache.Run(kRounded, first, n - first, 0, shape.n_group, true);
      const bool rounds = type != KvType::kF32;
      for (int64_t token : {first, n - 1}) {
        for (int head = 0; head < shape.n_group; ++head) {
          const auto expected = cache.Reference(token, head, rounds);
          for (int i = 0; i < shape.d_value; ++i) {
            // The softmax's weights keep 8 bits: at most 2^-9 of the largest values, about 4.
            ASSERT_NEAR(out[static_cast<size_t>(
                            ((token - first) * shape.n_group + head) * shape.d_value + i)],
                        expected[static_cast<size_t>(i)], rounds ? 6e-3 : 3e-6)
                << Name(shape, type, kRounded) << " token " << token << " head " << head;
          }
        }
      }
    }
  }
}

TEST(RoundedAttention, IsNotExact) {
  const Shape shape{3, 64, 64, 200, 0, 0};
  const Cache cache(kRounded, shape, KvType::kF16);
  const auto exact = cache.Run(kRounded, 100, 100, 0, 3, false);
  const auto rounded = cache.Run(kRounded, 100, 100, 0, 3, true);
  EXPECT_NE(std::memcmp(exact.data(), rounded.data(), exact.size() * sizeof(float)), 0);
}

TEST(RoundedAttention, BitsDependOnNoShape) {
  for (const Shape& shape : RoundedShapes()) {
    if (shape.d_head > 128) continue;
    for (KvType type : kTypes) {
      const Cache cache(kRounded, shape, type);
      const int64_t n = shape.n_positions, width = shape.n_group * shape.d_value;
      const auto whole = cache.Run(kRounded, 0, n, 0, shape.n_group, true);
      for (int64_t first = 0; first < n;) {
        const int64_t chunk = std::min<int64_t>(n - first, 1 + first % 37);
        const auto part = cache.Run(kRounded, first, chunk, 0, shape.n_group, true);
        ASSERT_EQ(std::memcmp(part.data(), whole.data() + first * width,
                              static_cast<size_t>(chunk * width) * sizeof(float)),
                  0)
            << Name(shape, type, kRounded) << " chunk at " << first;
        const auto one = cache.Run(kRounded, first, chunk, shape.n_group - 1, 1, true);
        for (int64_t t = 0; t < chunk; ++t) {
          ASSERT_EQ(std::memcmp(one.data() + t * shape.d_value,
                                whole.data() + (first + t + 1) * width - shape.d_value,
                                static_cast<size_t>(shape.d_value) * sizeof(float)),
                    0)
              << Name(shape, type, kRounded) << " last head, token " << first + t;
        }
        first += chunk;
      }
    }
  }
}

TEST(RoundedAttention, Avx512GivesTheSameBits) {
  for (const Shape& shape : RoundedShapes()) {
    if (shape.n_group > 9 || shape.d_head > 128) continue;
    for (KvType type : kTypes) {
      const Cache cache(kRounded, shape, type);
      const int64_t first = std::max<int64_t>(0, shape.n_positions - 7);
      const int64_t n = shape.n_positions - first;
      const auto expected = cache.Run(kRounded, first, n, 0, shape.n_group, true);
      const auto out = cache.Run(kEmulated, first, n, 0, shape.n_group, true);
      ASSERT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0)
          << Name(shape, type, kEmulated);
    }
  }
}

}  // namespace
}  // namespace lamina::kernels
