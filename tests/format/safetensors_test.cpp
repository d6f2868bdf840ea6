#include "format/safetensors.h"

#include <gtest/gtest.h>

#include "byte_builder.h"

namespace lamina::format {
namespace {

void ExpectRefusal(const std::string& file, std::string_view field,
                   Code code = Code::kInvalidArgument) {
  const auto parsed = ParseSafetensors(AsBytes(file));
  ASSERT_FALSE(parsed) << field;
  EXPECT_EQ(parsed.error().code(), code) << parsed.error().message();
  EXPECT_NE(parsed.error().message().find(field), std::string::npos)
      << parsed.error().message() << "\n  does not name: " << field;
}

TEST(Safetensors, ReadsThreeTypes) {
  const std::string file =
      SafetensorsFile(R"({"__metadata__":{"format":"pt"},)"
                      R"("b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
                      R"("a":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"},)"
                      R"("scalar":{"dtype":"F16","shape":[],"data_offsets":[20,22]}}   )",
                      22);
  const auto tensors = ParseSafetensors(AsBytes(file));
  ASSERT_TRUE(tensors) << tensors.error().message();
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].name, "b");
  EXPECT_EQ((*tensors)[0].type->name, "BF16");
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ((*tensors)[0].offset, file.size() - 22 + 8);
  EXPECT_EQ((*tensors)[0].data.data(), AsBytes(file).data() + (*tensors)[0].offset);
  EXPECT_EQ((*tensors)[2].data.size(), 2u);
}

TEST(Safetensors, P07HeaderLength) {
  for (const uint64_t n : {uint64_t{1} << 63, ~uint64_t{0}, kSafetensorsMaxHeaderBytes + 1}) {
    ExpectRefusal(ByteBuilder().Number(n).Raw("{}").str(), "header's length");
  }
  ExpectRefusal(ByteBuilder().Number(kSafetensorsMaxHeaderBytes).Raw("{}").str(), "the header");
  ExpectRefusal(ByteBuilder().Raw("abc").str(), "header's length");
  ExpectRefusal(SafetensorsFile("", 0), "does not begin with");
  ExpectRefusal(SafetensorsFile(" {}", 0), "does not begin with");
}

TEST(Safetensors, P07OverlapsGapsDuplicates) {
  const auto two = [](int begin, int end) {
    return SafetensorsFile(
        fmt::format(R"({{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},)"
                    R"("b":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}}}})",
                    begin, end),
        16);
  };
  EXPECT_TRUE(ParseSafetensors(AsBytes(two(8, 16))));
  ExpectRefusal(two(4, 12), "inside another");
  ExpectRefusal(two(0, 8), "inside another");
  ExpectRefusal(two(12, 20), "data_offsets");
  ExpectRefusal(two(16, 8), "data_offsets");
  ExpectRefusal(two(8, 12), "shape and dtype need 8");
  ExpectRefusal(SafetensorsFile(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8),
                "belong to none");
  ExpectRefusal(SafetensorsFile(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8),
                "last 4 bytes");
  ExpectRefusal(SafetensorsFile(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                8),
                "twice");
  ExpectRefusal(SafetensorsFile(R"({"__metadata__":{},"__metadata__":{}})", 0), "twice");
  ExpectRefusal(
      SafetensorsFile(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
      "twice");
}

TEST(Safetensors, RefusesBadFields) {
  const auto one = [](std::string_view body) {
    return SafetensorsFile(fmt::format(R"({{"a":{{{}}}}})", body), 4);
  };
  ExpectRefusal(one(R"("shape":[1],"data_offsets":[0,4])"), "dtype is missing");
  ExpectRefusal(one(R"("dtype":"F32","data_offsets":[0,4])"), "shape is missing");
  ExpectRefusal(one(R"("dtype":"F32","shape":[1])"), "data_offsets");
  ExpectRefusal(one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), "data_offsets");
  ExpectRefusal(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), "data_offsets");
  ExpectRefusal(one(R"("dtype":"I64","shape":[1],"data_offsets":[0,4])"), "\"I64\"",
                Code::kUnimplemented);
  ExpectRefusal(one(R"("dtype":"Q4_0","shape":[1],"data_offsets":[0,4])"), "F32, F16, BF16",
                Code::kUnimplemented);
  ExpectRefusal(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "negative");
  ExpectRefusal(one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), "shape");
  ExpectRefusal(one(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), "shape");
  ExpectRefusal(one(R"("dtype":"F32","shape":[0],"data_offsets":[0,0])"), "dimension of 0");
  ExpectRefusal(one(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])"),
                "more than 8");
  ExpectRefusal(one(R"("dtype":"F32","shape":[4398046511105],"data_offsets":[0,4])"), "dimension");
  ExpectRefusal(one(R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4])"),
                "shape");
  ExpectRefusal(one(R"("dtype":7)"), "dtype");
  ExpectRefusal(one(R"("extra":"x")"), "extra");
  ExpectRefusal(SafetensorsFile(R"({"a":[]})", 0), "\"a\"");
  ExpectRefusal(SafetensorsFile(R"({"a":1})", 0), "\"a\"");
  ExpectRefusal(SafetensorsFile(R"({"":{"dtype":"F32"}})", 0), "no name");
  ExpectRefusal(SafetensorsFile(R"({"__metadata__":{"k":1}})", 0), "__metadata__");
  ExpectRefusal(SafetensorsFile(R"({"a":{"dtype":"F32")", 0), "malformed");
  ExpectRefusal(SafetensorsFile(R"({}{})", 0), "malformed");
  ExpectRefusal(SafetensorsFile(R"({"a)" + std::string(1 << 20, '['), 0), "malformed");
}

TEST(ShardIndex, ReadsTheMap) {
  const auto index = ParseShardIndex(
      R"({"metadata":{"total_size":1.5e3,"x":[null,{"y":true}]},)"
      R"("weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})");
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_EQ(index->files, (std::vector<std::string>{"m-1.safetensors", "m-2.safetensors"}));
  ASSERT_EQ(index->entries.size(), 3u);
  EXPECT_EQ(index->entries[2].tensor, "c");
  EXPECT_EQ(index->entries[2].file, 0u);
}

TEST(ShardIndex, RefusesPathsAndOtherShapes) {
  for (const char* text :
       {R"({"weight_map":{"a":"../x"}})", R"({"weight_map":{"a":"/etc/passwd"}})",
        R"({"weight_map":{"a":".hidden"}})", R"({"weight_map":{"a":""}})",
        R"({"weight_map":{"a":"x\u0000y"}})", R"({"weight_map":{"a":1}})",
        R"({"weight_map":{"a":{}}})", R"({"weight_map":[]})", R"({"weight_map":"x"})", R"({})",
        R"([])", R"("x")", R"({"weight_map":{},"weight_map":{}})", ""}) {
    EXPECT_FALSE(ParseShardIndex(text)) << text;
  }
  const std::string deep = R"({"metadata":)" + std::string(100000, '[');
  EXPECT_FALSE(ParseShardIndex(deep));
}

}  // namespace
}  // namespace lamina::format
