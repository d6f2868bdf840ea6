#include <gtest/gtest.h>

#include <chrono>

#include "byte_builder.h"
#include "format/gguf.h"

namespace lamina::format {
namespace {

using Type = GgufValueType;

// The error of a file that must be refused; fails the test where it is not.
Status Refusal(const ByteBuilder& file) {
  const auto parsed = ParseGguf(file.bytes());
  EXPECT_FALSE(parsed);
  return parsed ? Status() : parsed.error();
}

void ExpectRefusal(const ByteBuilder& file, std::string_view field,
                   Code code = Code::kInvalidArgument) {
  const Status status = Refusal(file);
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_NE(status.message().find(field), std::string::npos)
      << status.message() << "\n  does not name: " << field;
}

ByteBuilder OneTensor(std::initializer_list<uint64_t> dimensions, uint32_t type, uint64_t offset,
                      size_t n_data_bytes) {
  return ByteBuilder()
      .GgufHeader(1, 0)
      .TensorRow("w", dimensions, type, offset)
      .PadTo(32)
      .Zeros(n_data_bytes);
}

TEST(GgufReader, ReadsEveryValueType) {
  for (const uint32_t version : {2u, 3u}) {
    ByteBuilder file;
    file.GgufHeader(0, 14, version);
    file.Key("u8", Type::kUint8).Number<uint8_t>(200);
    file.Key("i8", Type::kInt8).Number<int8_t>(-100);
    file.Key("u16", Type::kUint16).Number<uint16_t>(60000);
    file.Key("i16", Type::kInt16).Number<int16_t>(-30000);
    file.Key("u32", Type::kUint32).Number<uint32_t>(4000000000u);
    file.Key("i32", Type::kInt32).Number<int32_t>(-2000000000);
    file.Key("u64", Type::kUint64).Number<uint64_t>(~uint64_t{0});
    file.Key("i64", Type::kInt64).Number<int64_t>(INT64_MIN);
    file.Key("f32", Type::kFloat32).Number<float>(0.1f);
    file.Key("f64", Type::kFloat64).Number<double>(0.1);
    file.Key("bool", Type::kBool).Number<uint8_t>(1);
    file.Key("text", Type::kString).Text("h\xc3\xa9");
    file.Key("texts", Type::kArray).Number<uint32_t>(8).Number<uint64_t>(2).Text("").Text("b");
    file.Key("i32s", Type::kArray).Number<uint32_t>(5).Number<uint64_t>(1).Number<int32_t>(-1);
    const auto parsed = ParseGguf(file.bytes());
    ASSERT_TRUE(parsed) << parsed.error().message();
    const Metadata& metadata = parsed->metadata;
    EXPECT_EQ(parsed->version, version);
    EXPECT_EQ(*metadata.GetUint("u8"), 200u);
    EXPECT_EQ(*metadata.GetInt("i8"), -100);
    EXPECT_EQ(*metadata.GetUint("u16"), 60000u);
    EXPECT_EQ(*metadata.GetInt("i16"), -30000);
    EXPECT_EQ(*metadata.GetUint("u32"), 4000000000u);
    EXPECT_EQ(*metadata.GetInt("i32"), -2000000000);
    EXPECT_EQ(*metadata.GetUint("u64"), ~uint64_t{0});
    EXPECT_EQ(*metadata.GetInt("i64"), INT64_MIN);
    EXPECT_EQ(*metadata.GetFloat("f32"), static_cast<double>(0.1f));
    EXPECT_EQ(*metadata.GetFloat("f64"), 0.1);
    EXPECT_TRUE(*metadata.GetBool("bool"));
    EXPECT_EQ(*metadata.GetString("text"), "h\xc3\xa9");
    EXPECT_EQ(**metadata.GetStrings("texts"), (std::vector<std::string>{"", "b"}));
    EXPECT_EQ(*metadata.GetInts("i32s"), (std::vector<int64_t>{-1}));
  }
}

TEST(GgufReader, LocatesTensors) {
  const ByteBuilder file = ByteBuilder()
                               .GgufHeader(2, 1)
                               .Key("general.alignment", Type::kUint32)
                               .Number<uint32_t>(64)
                               .TensorRow("a", {2, 3}, 0, 64)
                               .TensorRow("b", {32}, 8, 0)
                               .PadTo(64)
                               .Zeros(64 + 24);
  const auto parsed = ParseGguf(file.bytes());
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->alignment, 64u);
  const Tensor& a = parsed->tensors[0];
  EXPECT_EQ(a.shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(a.data.size(), 24u);
  EXPECT_EQ(a.data.data(), file.bytes().data() + parsed->data_offset + 64);
  EXPECT_EQ(a.offset, parsed->data_offset + 64);
  EXPECT_EQ(parsed->tensors[1].type->name, "Q8_0");
  EXPECT_EQ(parsed->tensors[1].data.size(), 34u);
}

TEST(GgufReader, RefusesOtherFilesAndVersions) {
  ExpectRefusal(ByteBuilder().Raw("GGUX").Zeros(20), "GGUF");
  ExpectRefusal(ByteBuilder().Raw("GG"), "magic");
  ExpectRefusal(ByteBuilder().GgufHeader(0, 0, 1), "version 1", Code::kUnimplemented);
  ExpectRefusal(ByteBuilder().GgufHeader(0, 0, 4), "version 4", Code::kUnimplemented);
  ExpectRefusal(ByteBuilder().GgufHeader(0, 0, 0x03000000), "big-endian", Code::kUnimplemented);
}

TEST(GgufReader, P01HugeCountsInTinyFile) {
  for (const uint64_t n : {uint64_t{1} << 63, ~uint64_t{0}, uint64_t{1} << 32, uint64_t{2}}) {
    const auto start = std::chrono::steady_clock::now();
    ExpectRefusal(ByteBuilder().GgufHeader(n, n), "number of tensors");
    ExpectRefusal(ByteBuilder().GgufHeader(0, n), "number of metadata keys");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(10));
  }
}

TEST(GgufReader, P02HugeStringsAndArrays) {
  for (const uint64_t n : {uint64_t{1} << 63, uint64_t{1} << 61, uint64_t{1} << 33}) {
    ExpectRefusal(ByteBuilder().GgufHeader(0, 1).Number(n).Zeros(16), "name of a metadata key");
    ExpectRefusal(ByteBuilder().GgufHeader(0, 1).Key("k", Type::kString).Number(n).Zeros(9),
                  "\"k\"");
    for (uint32_t element = 0; element <= 12; ++element) {
      if (element == 9) continue;
      ExpectRefusal(
          ByteBuilder().GgufHeader(0, 1).Key("k", Type::kArray).Number(element).Number(n).Zeros(32),
          "element count");
    }
  }
}

TEST(GgufReader, RefusesBadMetadata) {
  ExpectRefusal(ByteBuilder().GgufHeader(0, 1).Text("").Number(0).Zeros(8), "has no name");
  ExpectRefusal(ByteBuilder().GgufHeader(0, 1).Text("k").Number<uint32_t>(13).Zeros(8),
                "type is 13");
  ExpectRefusal(ByteBuilder().GgufHeader(0, 1).Key("k", Type::kBool).Number<uint8_t>(2), "bool 2");
  ExpectRefusal(ByteBuilder()
                    .GgufHeader(0, 1)
                    .Key("k", Type::kArray)
                    .Number<uint32_t>(7)
                    .Number<uint64_t>(2)
                    .Raw("\x01\x07"),
                "bool 7");
  ExpectRefusal(ByteBuilder()
                    .GgufHeader(0, 1)
                    .Key("k", Type::kArray)
                    .Number<uint32_t>(9)
                    .Number<uint64_t>(1)
                    .Zeros(12),
                "array of arrays", Code::kUnimplemented);
  ExpectRefusal(ByteBuilder()
                    .GgufHeader(0, 2)
                    .Key("k", Type::kBool)
                    .Number<uint8_t>(1)
                    .Key("k", Type::kBool)
                    .Number<uint8_t>(1),
                "twice");
}

TEST(GgufReader, P03Alignment) {
  const auto with = [](auto number, Type type) {
    return ByteBuilder().GgufHeader(0, 1).Key("general.alignment", type).Number(number);
  };
  for (const uint32_t alignment : {0u, 1u, 3u, 4u, 33u, 131072u, 1u << 31, ~0u}) {
    ExpectRefusal(with(alignment, Type::kUint32), "general.alignment");
  }
  ExpectRefusal(with(int32_t{32}, Type::kInt32), "general.alignment");
  ExpectRefusal(with(uint64_t{32}, Type::kUint64), "general.alignment");
  for (const uint32_t alignment : {8u, 32u, 65536u}) {
    EXPECT_TRUE(ParseGguf(with(alignment, Type::kUint32).bytes()));
  }
}

TEST(GgufReader, P04Dimensions) {
  const uint64_t huge = (uint64_t{1} << 42) + 1;
  ExpectRefusal(OneTensor({huge}, 0, 0, 64), "dimension");
  ExpectRefusal(OneTensor({0}, 0, 0, 64), "dimension of 0");
  ExpectRefusal(OneTensor({4, 0}, 0, 0, 64), "dimension of 0");
  ExpectRefusal(OneTensor({~uint64_t{0}}, 0, 0, 64), "dimension");
  ExpectRefusal(OneTensor({uint64_t{1} << 42, uint64_t{1} << 22}, 0, 0, 64), "product");
  ExpectRefusal(OneTensor({uint64_t{1} << 42, uint64_t{1} << 21}, 0, 0, 64), "64 bits");
  ExpectRefusal(OneTensor({uint64_t{1} << 31, uint64_t{1} << 31, 4, 1}, 0, 0, 64), "product");
  ExpectRefusal(OneTensor({}, 0, 0, 64), "0 dimensions");
  ExpectRefusal(OneTensor({1, 1, 1, 1, 1}, 0, 0, 64), "5 dimensions");
  ExpectRefusal(OneTensor({48}, 8, 0, 64), "whole blocks");
  // An offset at which begin + bytes, or the padding, would wrap.
  ExpectRefusal(OneTensor({4}, 0, ~uint64_t{0} - 31, 64), "\"w\"");
  ExpectRefusal(OneTensor({4}, 0, uint64_t{1} << 63, 64), "do not lie in the file");
}

TEST(GgufReader, P05TensorPastTheEnd) {
  EXPECT_TRUE(ParseGguf(OneTensor({16}, 0, 0, 64).bytes()));
  ExpectRefusal(OneTensor({16}, 0, 0, 63), "\"w\"");
  ExpectRefusal(OneTensor({16}, 0, 32, 64), "do not lie in the file");
  ExpectRefusal(OneTensor({1024}, 0, 0, 64), "cut off");
}

TEST(GgufReader, RefusesBadTensorTables) {
  ExpectRefusal(OneTensor({4}, 0, 4, 64), "alignment");
  ExpectRefusal(OneTensor({4}, 19, 0, 64), "IQ1_S", Code::kUnimplemented);
  ExpectRefusal(OneTensor({4}, 4, 0, 64), "Q4_2", Code::kUnimplemented);
  ExpectRefusal(OneTensor({4}, ~0u, 0, 64), "4294967295", Code::kUnimplemented);
  EXPECT_NE(Refusal(OneTensor({4}, 19, 0, 64)).message().find("supported are F32, F16"),
            std::string::npos);
  ExpectRefusal(ByteBuilder().GgufHeader(1, 0).TensorRow("", {4}, 0, 0).Zeros(64), "no name");
  const auto two = [](std::string_view name, uint64_t offset) {
    return ByteBuilder()
        .GgufHeader(2, 0)
        .TensorRow("a", {16}, 0, 0)
        .TensorRow(name, {16}, 0, offset)
        .PadTo(32)
        .Zeros(192);
  };
  EXPECT_TRUE(ParseGguf(two("b", 64).bytes()));
  EXPECT_TRUE(ParseGguf(two("b", 128).bytes()));  // a gap is harmless
  ExpectRefusal(two("b", 32), "inside another");
  ExpectRefusal(two("b", 0), "inside another");
  ExpectRefusal(two("a", 64), "twice");
}

TEST(GgufReader, MessagesHoldNoControlCharacters) {
  const Status status =
      Refusal(ByteBuilder().GgufHeader(0, 1).Text("\x1b[2J\n\xff").Number<uint32_t>(99).Zeros(9));
  for (const char c : status.message()) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  EXPECT_NE(status.message().find("\\x1b"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace lamina::format
