// Attention against double, for every cache type, window, group and depth; equal bits for every way
// of cutting the same work.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "attention_cases.h"
#include "tables.h"

namespace lamina::kernels {
namespace {

TEST(Attention, DecodeIsNearDouble) {
  for (const Table* table : Tables()) {
    for (const Shape& shape : Shapes()) {
      for (KvType type : kTypes) {
        const Cache cache(*table, shape, type);
        const int64_t token = shape.n_positions - 1;
        const auto out = cache.Run(*table, token, 1, 0, shape.n_group);
        for (int head = 0; head < shape.n_group; ++head) {
          const auto expected = cache.Reference(token, head);
          for (int i = 0; i < shape.d_value; ++i) {
            ASSERT_NEAR(out[static_cast<size_t>(head * shape.d_value + i)],
                        expected[static_cast<size_t>(i)], 3e-6)
                << Name(shape, type, *table) << " head " << head << " i " << i;
          }
        }
      }
    }
  }
}

TEST(Attention, PrefillIsDecodeBitByBitHoweverItIsCut) {
  for (const Table* table : Tables()) {
    const bool slow = table == Tables().back();
    for (const Shape& shape : Shapes()) {
      if (slow && (shape.n_positions > 150 || shape.d_head > 80)) continue;
      for (KvType type : kTypes) {
        const Cache cache(*table, shape, type);
        const int64_t n = shape.n_positions, width = shape.n_group * shape.d_value;
        const auto whole = cache.Run(*table, 0, n, 0, shape.n_group);
        for (int64_t first = 0; first < n;) {
          const int64_t chunk = std::min<int64_t>(n - first, 1 + first % 37);
          const auto part = cache.Run(*table, first, chunk, 0, shape.n_group);
          ASSERT_EQ(std::memcmp(part.data(), whole.data() + first * width,
                                static_cast<size_t>(chunk * width) * sizeof(float)),
                    0)
              << Name(shape, type, *table) << " chunk at " << first;
          first += chunk;
        }
        for (int64_t token : {int64_t{0}, n / 2, n - 1}) {
          for (int head = 0; head < shape.n_group; ++head) {
            const auto one = cache.Run(*table, token, 1, head, 1);
            ASSERT_EQ(std::memcmp(one.data(), whole.data() + token * width + head * shape.d_value,
                                  static_cast<size_t>(shape.d_value) * sizeof(float)),
                      0)
                << Name(shape, type, *table) << " token " << token << " head " << head;
          }
        }
      }
    }
  }
}

TEST(Attention, EveryCpuGivesTheScalarBits) {
  const Table& scalar = *Tables().back();
  for (const Shape& shape : Shapes()) {
    for (KvType type : kTypes) {
      const Cache expected_cache(scalar, shape, type);
      const int64_t first = std::max<int64_t>(0, shape.n_positions - 5);
      const auto expected =
          expected_cache.Run(scalar, first, shape.n_positions - first, 0, shape.n_group);
      for (const Table* table : Tables()) {
        const Cache cache(*table, shape, type);
        const auto out = cache.Run(*table, first, shape.n_positions - first, 0, shape.n_group);
        ASSERT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0)
            << Name(shape, type, *table);
      }
    }
  }
}

TEST(Attention, DeepContextStaysExact) {
  const Shape shape{3, 64, 64, 4200, 0, 0, 64};
  for (const Table* table : Tables()) {
    for (KvType type : {KvType::kF32, KvType::kF16}) {
      const Cache cache(*table, shape, type);
      const auto out = cache.Run(*table, 4192, 8, 0, 3);
      const auto expected = cache.Reference(4199, 2);
      for (size_t i = 0; i < 64; ++i) {
        ASSERT_NEAR(out[(7 * 3 + 2) * 64 + i], expected[i], 1e-6) << table->isa;
      }
    }
  }
}

}  // namespace
}  // namespace lamina::kernels
