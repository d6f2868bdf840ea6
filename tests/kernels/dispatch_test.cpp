#include "kernels/dispatch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace lamina::kernels {
namespace {

TEST(Dispatch, ScalarIsAlwaysThereAndLast) {
  ASSERT_FALSE(Available().empty());
  EXPECT_STREQ(Available().back()->isa, "scalar");
}

TEST(Dispatch, SelectsByNameThenEnvironmentThenBest) {
  unsetenv("LAMINA_ISA");
  EXPECT_EQ(Select("").value(), Available().front());
  setenv("LAMINA_ISA", "scalar", 1);
  EXPECT_STREQ(Select("").value()->isa, "scalar");
  EXPECT_EQ(Select(Available().front()->isa).value(), Available().front());
  setenv("LAMINA_ISA", "avx9", 1);
  const auto wrong = Select("");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code(), Code::kInvalidArgument);
  EXPECT_NE(wrong.error().message().find("LAMINA_ISA \"avx9\""), std::string::npos);
  EXPECT_NE(wrong.error().message().find("scalar"), std::string::npos);
  unsetenv("LAMINA_ISA");
}

}  // namespace
}  // namespace lamina::kernels
