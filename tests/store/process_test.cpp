#include "store/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>

#include "base/file.h"

namespace lamina::store {
namespace {

const std::string kLog = testing::TempDir() + "lamina_process_" + std::to_string(getpid());

TEST(RunProcess, ReturnsStatusAndLog) {
  const auto status =
      RunProcess({"sh", "-c", "echo out; echo err >&2; exit 3"}, {}, kLog, [] { return true; });
  ASSERT_TRUE(status);
  EXPECT_EQ(*status, 3);
  EXPECT_EQ(*ReadFile(kLog, 100), "out\nerr\n");
  EXPECT_EQ(*RunProcess({"sh", "-c", "kill -9 $$"}, {}, kLog, [] { return true; }), 137);
}

TEST(RunProcess, PassesArgumentsAsTheyAre) {
  const std::string odd = "a b; $(echo x) `y` \"z\" *";
  ASSERT_EQ(*RunProcess({"printf", "%s", odd}, {}, kLog, [] { return true; }), 0);
  EXPECT_EQ(*ReadFile(kLog, 100), odd);
}

TEST(RunProcess, SetsVariablesAndKeepsTheOthers) {
  setenv("LAMINA_TEST_KEPT", "old", 1);
  setenv("LAMINA_TEST_SET", "old", 1);
  const auto status = RunProcess({"sh", "-c", "echo $LAMINA_TEST_KEPT $LAMINA_TEST_SET"},
                                 {"LAMINA_TEST_SET=a b"}, kLog, [] { return true; });
  ASSERT_EQ(*status, 0);
  EXPECT_EQ(*ReadFile(kLog, 1000), "old a b\n");
}

TEST(RunProcess, NamesAMissingProgram) {
  const auto status = RunProcess({"no-such-program-here"}, {}, kLog, [] { return true; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kNotFound);
}

TEST(RunProcess, CancelKillsItsChildren) {
  const auto start = std::chrono::steady_clock::now();
  const auto status = RunProcess({"sh", "-c", "sleep 30 & wait"}, {}, kLog, [] { return false; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace lamina::store
