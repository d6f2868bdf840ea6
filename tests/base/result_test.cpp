// Errors as values: what TRY passes on, and that a value passes through it by move.
#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace lamina {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return Error(Code::kInvalidArgument, "{} is odd", n);
  return n / 2;
}

Result<int> Quarter(int n) {
  const int half = TRY(Half(n));
  return TRY(Half(half));
}

Result<> Check(int n) {
  TRY(Half(n));
  return {};
}

Result<std::unique_ptr<int>> Pass(Result<std::unique_ptr<int>> in) {
  auto pointer = TRY(std::move(in));
  return pointer;
}

TEST(Result, TryGivesTheValueOrReturnsTheError) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(7).status().message(), "7 is odd");
  EXPECT_EQ(Quarter(6).status().message(), "3 is odd");
  EXPECT_EQ(Quarter(6).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(Quarter(12).status().ok());
}

TEST(Result, WithoutValue) {
  EXPECT_TRUE(Check(4));
  EXPECT_EQ(Check(5).status().message(), "5 is odd");
}

TEST(Result, MovesWhatCannotBeCopied) {
  auto result = Pass(std::make_unique<int>(7));
  ASSERT_TRUE(result);
  EXPECT_EQ(**result, 7);
}

TEST(Status, PrefixKeepsTheCodeAndLeavesSuccessAlone) {
  const Status status = Status(Code::kNotFound, "no tensor").Prefixed("model.gguf");
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "model.gguf: no tensor");
  EXPECT_TRUE(Status().Prefixed("x").ok());
  EXPECT_EQ(Status().Prefixed("x").message(), "");
}

TEST(Status, EveryCodeHasTheNameOfItsNumber) {
  EXPECT_EQ(CodeName(Code::kOk), "ok");
  EXPECT_EQ(CodeName(Code::kInvalidArgument), "invalid_argument");
  EXPECT_EQ(CodeName(Code::kResourceExhausted), "resource_exhausted");
  EXPECT_EQ(CodeName(Code::kUnauthenticated), "unauthenticated");
}

}  // namespace
}  // namespace lamina
