#include "format/bounded_reader.h"

#include <gtest/gtest.h>

#include "byte_builder.h"

namespace lamina::format {
namespace {

TEST(BoundedReader, ReadsLittleEndianNumbers) {
  const ByteBuilder file = ByteBuilder().Raw("\x01\x02\x03\x04").Number<double>(1.5);
  BoundedReader in(file.bytes());
  EXPECT_EQ(*in.Read<uint32_t>("a"), 0x04030201u);
  EXPECT_EQ(*in.Read<double>("b"), 1.5);
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(BoundedReader, NamesTheFieldAndStaysWhenBytesAreMissing) {
  const ByteBuilder file = ByteBuilder().Raw("abc");
  BoundedReader in(file.bytes());
  const auto number = in.Read<uint32_t>("the count of apples");
  ASSERT_FALSE(number);
  EXPECT_EQ(number.error().code(), Code::kInvalidArgument);
  EXPECT_NE(number.error().message().find("the count of apples"), std::string::npos);
  EXPECT_EQ(in.offset(), 0u);
  EXPECT_TRUE(in.Take(3, "rest"));
  EXPECT_TRUE(in.Take(0, "nothing"));
  EXPECT_FALSE(in.Take(1, "more"));
  EXPECT_FALSE(in.Take(~uint64_t{0}, "all"));
}

TEST(BoundedReader, RefusesCountsThatCannotFit) {
  const ByteBuilder file = ByteBuilder().Number<uint64_t>(3).Zeros(24);
  for (const uint64_t bytes_each : {1, 8}) {
    BoundedReader in(file.bytes());
    EXPECT_EQ(*in.ReadCount(bytes_each, "n"), 3u);
  }
  BoundedReader in(file.bytes());
  EXPECT_FALSE(in.ReadCount(9, "n"));
  EXPECT_FALSE(in.CheckCount(uint64_t{1} << 61, 8, "n"));
}

TEST(BoundedReader, BoundsStrings) {
  const ByteBuilder file = ByteBuilder().Text("hello");
  BoundedReader in(file.bytes());
  EXPECT_EQ(*in.ReadString(5, "s"), "hello");
  BoundedReader again(file.bytes());
  EXPECT_FALSE(again.ReadString(4, "s"));
}

}  // namespace
}  // namespace lamina::format
