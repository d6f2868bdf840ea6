#include "format/gguf_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

#include "byte_builder.h"
#include "format/model_source.h"

namespace lamina::format {
namespace {

const quant::TypeInfo& F32() { return *quant::FindType("F32"); }

TEST(GgufWriter, WhatItWritesIsReadBack) {
  const std::vector<Value> values = {true,
                                     uint64_t{5},
                                     uint64_t{1} << 40,
                                     int64_t{-5},
                                     std::numeric_limits<int64_t>::min(),
                                     0.5,
                                     0.1,
                                     std::string("text"),
                                     std::vector<bool>{true, false, true},
                                     std::vector<uint64_t>{1, uint64_t{1} << 33},
                                     std::vector<int64_t>{-1, 1},
                                     std::vector<double>{0.5, 0.1},
                                     std::vector<double>{},
                                     std::vector<std::string>{"a", "", "c"}};
  for (const uint32_t version : {2u, 3u}) {
    GgufWriter writer(version);
    for (size_t i = 0; i < values.size(); ++i) writer.Set("k" + std::to_string(i), values[i]);
    const auto header = writer.Header();
    ASSERT_TRUE(header) << header.error().message();
    EXPECT_EQ(header->size() % 32, 0u);
    const auto parsed = ParseGguf(AsBytes(*header));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->version, version);
    for (size_t i = 0; i < values.size(); ++i) {
      const Value* value = parsed->metadata.Find("k" + std::to_string(i));
      ASSERT_TRUE(value);
      EXPECT_TRUE(*value == values[i]) << i;
    }
  }
}

TEST(GgufWriter, RefusesWhatTheReaderWouldRefuse) {
  const auto header_of = [](auto fill) {
    GgufWriter writer;
    fill(writer);
    return writer.Header();
  };
  using W = GgufWriter;
  EXPECT_FALSE(header_of([](W& w) { w.Set("", true); }));
  EXPECT_FALSE(header_of([](W& w) { w.Set("a", true), w.Set("a", false); }));
  EXPECT_FALSE(header_of([](W& w) { w.Set("a", GgufValueType::kUint8, uint64_t{256}); }));
  EXPECT_FALSE(header_of([](W& w) { w.Set("a", GgufValueType::kUint8, std::string("1")); }));
  EXPECT_FALSE(header_of([](W& w) { w.Set("a", GgufValueType::kFloat32, 0.1); }));
  EXPECT_FALSE(header_of([](W& w) { w.Set("general.alignment", uint64_t{3}); }));
  EXPECT_FALSE(header_of([](W& w) { w.AddTensor("t", F32(), {0}); }));
  EXPECT_FALSE(header_of([](W& w) { w.AddTensor("t", F32(), {}); }));
  EXPECT_FALSE(header_of([](W& w) { w.AddTensor("t", *quant::FindType("Q8_0"), {2, 33}); }));
  EXPECT_FALSE(header_of([](W& w) { w.AddTensor("t", F32(), {1}), w.AddTensor("t", F32(), {1}); }));
}

TEST(GgufWriter, WritesAWholeFileOrNone) {
  const std::string path =
      testing::TempDir() + "lamina_written_" + std::to_string(getpid()) + ".gguf";
  GgufWriter writer;
  writer.Set("general.alignment", uint64_t{64});
  writer.AddTensor("a", F32(), {3});
  writer.AddTensor("b", F32(), {2, 2});
  const std::vector<float> a = {1, 2, 3};
  const std::vector<float> b = {4, 5, 6, 7};
  const auto bytes_of = [](const std::vector<float>& v) {
    return Bytes(reinterpret_cast<const uint8_t*>(v.data()), v.size() * sizeof(float));
  };
  const auto refused = writer.Write(path, [&](size_t) -> Result<Bytes> { return bytes_of(a); });
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("\"b\""), std::string::npos);
  EXPECT_EQ(ModelSource::Open(path).error().code(), Code::kNotFound);

  const auto written =
      writer.Write(path, [&](size_t i) -> Result<Bytes> { return bytes_of(i == 0 ? a : b); });
  ASSERT_TRUE(written) << written.error().message();
  const auto source = ModelSource::Open(path);
  ASSERT_TRUE(source) << source.error().message();
  const Tensor* tensor = (*source)->Find("b");
  ASSERT_TRUE(tensor);
  EXPECT_EQ(tensor->offset % 64, 0u);
  EXPECT_EQ(std::memcmp(tensor->data.data(), b.data(), 16), 0);
  unlink(path.c_str());
}

}  // namespace
}  // namespace lamina::format
