#include "format/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lamina::format {
namespace {

TEST(Json, ParsesAndNamesThePlaceOfAMistake) {
  const auto json = ParseJson(R"({"a": [1, "x]}", {}]})");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["a"][1], "x]}");
  const auto broken = ParseJson(R"({"a": })");
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message().find("byte 7"), std::string::npos) << broken.error().message();
  EXPECT_FALSE(ParseJson(""));
  EXPECT_FALSE(ParseJson("\"\xff\""));
  EXPECT_FALSE(ParseJson(R"("unfinished \)"));
}

TEST(Json, RefusesDeepNestingBeforeTheParserSeesIt) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(ParseJson(nested(kMaxJsonDepth)));
  EXPECT_FALSE(ParseJson(nested(kMaxJsonDepth + 1)));
  const auto deep = ParseJson(nested(1 << 20));
  ASSERT_FALSE(deep);
  EXPECT_NE(deep.error().message().find("deeper than 64"), std::string::npos);
  EXPECT_TRUE(ParseJson('"' + std::string(1000, '[') + "\\\"[\""));  // brackets in a string
}

}  // namespace
}  // namespace lamina::format
