// Arithmetic on untrusted sizes, at its edges.
#include "base/checked.h"

#include <gtest/gtest.h>

#include <limits>

namespace lamina {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(Checked, SumsThatFitAndSumsThatDoNot) {
  EXPECT_EQ(CheckedAdd(2, 3), 5u);
  EXPECT_EQ(CheckedAdd(kMax, 0), kMax);
  EXPECT_FALSE(CheckedAdd(kMax, 1));
  EXPECT_FALSE(CheckedAdd(kMax, kMax));
}

TEST(Checked, ProductsThatFitAndProductsThatDoNot) {
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1),
            kMax - ((uint64_t{1} << 32) - 1));
  EXPECT_EQ(CheckedMul(kMax, 0), 0u);
  EXPECT_FALSE(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32));
  EXPECT_FALSE(CheckedMul(kMax, 2));
}

TEST(Checked, AlignsUpOrSaysThatItCannot) {
  EXPECT_EQ(CheckedAlignUp(0, 32), 0u);
  EXPECT_EQ(CheckedAlignUp(1, 32), 32u);
  EXPECT_EQ(CheckedAlignUp(32, 32), 32u);
  EXPECT_EQ(CheckedAlignUp(kMax - 31, 32), kMax - 31);
  EXPECT_FALSE(CheckedAlignUp(kMax - 30, 32));
}

}  // namespace
}  // namespace lamina
