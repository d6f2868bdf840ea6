#include "format/metadata.h"

#include <gtest/gtest.h>

#include <limits>

namespace lamina::format {
namespace {

TEST(Metadata, WidensAndNarrowsWhereNothingIsLost) {
  Metadata metadata;
  metadata.Set("u", uint64_t{7});
  metadata.Set("i", int64_t{-7});
  metadata.Set("d", 0.5);
  metadata.Set("huge", std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(*metadata.GetUint("u"), 7u);
  EXPECT_EQ(*metadata.GetInt("u"), 7);
  EXPECT_EQ(*metadata.GetFloat("u"), 7.0);
  EXPECT_EQ(*metadata.GetFloat("i"), -7.0);
  EXPECT_EQ(metadata.GetUint("i").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(metadata.GetInt("huge").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(metadata.GetUint("d").error().code(), Code::kInvalidArgument);
}

TEST(Metadata, NamesTheKey) {
  Metadata metadata;
  metadata.Set("name", std::string("x"));
  for (const Status& status :
       {metadata.GetUint("absent").error(), metadata.GetStrings("absent").error(),
        metadata.GetFloats("absent").error(), metadata.GetInts("absent").error()}) {
    EXPECT_EQ(status.code(), Code::kNotFound);
    EXPECT_NE(status.message().find("absent"), std::string::npos);
  }
  for (const Status& status :
       {metadata.GetUint("name").error(), metadata.GetBool("name").error(),
        metadata.GetStrings("name").error(), metadata.GetUintOr("name", 1).error()}) {
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_NE(status.message().find("name"), std::string::npos);
  }
  EXPECT_EQ(*metadata.GetUintOr("absent", 3), 3u);
  EXPECT_EQ(*metadata.GetStringOr("absent", "y"), "y");
}

// P08: a vocabulary whose arrays have other element types is refused, not reinterpreted.
TEST(Metadata, ArraysKeepTheirElementType) {
  Metadata metadata;
  metadata.Set("tokens", std::vector<uint64_t>{1, 2});
  metadata.Set("scores", std::vector<std::string>{"a"});
  metadata.Set("flags", std::vector<bool>{true, false});
  metadata.Set("large", std::vector<uint64_t>{uint64_t{1} << 63});
  EXPECT_EQ(metadata.GetStrings("tokens").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(metadata.GetFloats("scores").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(metadata.GetInts("scores").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(metadata.GetInts("large").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(*metadata.GetInts("flags"), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(*metadata.GetFloats("tokens"), (std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace lamina::format
