#include "format/model_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "byte_builder.h"
#include "format/gguf_writer.h"

namespace lamina::format {
namespace {

namespace fs = std::filesystem;

class ModelSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "lamina_model_source_test_" + std::to_string(getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(std::string_view name) const { return folder_ + "/" + std::string(name); }
  std::string Put(std::string_view name, std::string_view content) const {
    EXPECT_TRUE(WriteFileAtomically(Path(name), content));
    return Path(name);
  }
  // A file of a split set with one tensor of one value.
  std::string PutPart(std::string_view name, uint64_t number, uint64_t count,
                      std::string_view tensor, float value, uint64_t n_tensors) const {
    GgufWriter writer;
    writer.Set("split.no", GgufValueType::kUint16, number);
    writer.Set("split.count", GgufValueType::kUint16, count);
    writer.Set("split.tensors.count", GgufValueType::kInt32, static_cast<int64_t>(n_tensors));
    if (number == 0) writer.Set("general.architecture", std::string("llama"));
    writer.AddTensor(std::string(tensor), *quant::FindType("F32"), {1});
    const Bytes bytes(reinterpret_cast<const uint8_t*>(&value), sizeof value);
    EXPECT_TRUE(writer.Write(Path(name), [&](size_t) -> Result<Bytes> { return bytes; }));
    return Path(name);
  }
  void ExpectRefusal(const std::string& path, std::string_view part) const {
    const auto source = ModelSource::Open(path);
    ASSERT_FALSE(source) << part;
    EXPECT_NE(source.error().message().find(part), std::string::npos) << source.error().message();
  }

  std::string folder_;
};

float FirstValue(const Tensor& tensor) {
  float value;
  std::memcpy(&value, tensor.data.data(), sizeof value);
  return value;
}

TEST_F(ModelSourceTest, SplitFilesOpenAsOne) {
  const std::string first = PutPart("m-00001-of-00003.gguf", 0, 3, "a", 1, 3);
  const std::string second = PutPart("m-00002-of-00003.gguf", 1, 3, "b", 2, 3);
  PutPart("m-00003-of-00003.gguf", 2, 3, "c", 3, 3);
  const auto source = ModelSource::Open(first);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ((*source)->file_paths().size(), 3u);
  EXPECT_EQ(*(*source)->metadata().GetString("general.architecture"), "llama");
  EXPECT_EQ(FirstValue(*(*source)->Find("a")), 1);
  EXPECT_EQ(FirstValue(*(*source)->Find("c")), 3);
  EXPECT_EQ((*source)->Find("b")->file, 1);
  EXPECT_EQ((*source)->Find("d"), nullptr);
  ExpectRefusal(second, "open the first one");
}

TEST_F(ModelSourceTest, RefusesBrokenSplits) {
  const std::string first = PutPart("m-00001-of-00002.gguf", 0, 2, "a", 1, 2);
  ExpectRefusal(first, "m-00002-of-00002.gguf");  // missing
  PutPart("m-00002-of-00002.gguf", 0, 2, "b", 1, 2);
  ExpectRefusal(first, "split.no is 0");
  PutPart("m-00002-of-00002.gguf", 1, 3, "b", 1, 2);
  ExpectRefusal(first, "split.count 3");
  PutPart("m-00002-of-00002.gguf", 1, 2, "a", 1, 2);
  ExpectRefusal(first, "lies in two files");
  PutPart("m-00001-of-00002.gguf", 0, 2, "a", 1, 7);
  PutPart("m-00002-of-00002.gguf", 1, 2, "b", 1, 7);
  ExpectRefusal(first, "split.tensors.count is 7");
  ExpectRefusal(PutPart("plain.gguf", 0, 2, "a", 1, 2), "-00001-of-00002.gguf");
  ExpectRefusal(PutPart("huge.gguf", 0, 65535, "a", 1, 2), "split.count is 65535");
}

TEST_F(ModelSourceTest, FilesOverFourGiB) {
  constexpr int64_t kRows = 5 << 10;
  constexpr int64_t kCols = 1 << 18;  // 5 GiB of F32
  GgufWriter writer;
  writer.AddTensor("big", *quant::FindType("F32"), {kRows, kCols});
  writer.AddTensor("last", *quant::FindType("F32"), {1});
  const auto header = writer.Header();
  ASSERT_TRUE(header);
  const uint64_t last_offset = header->size() + uint64_t{kRows} * kCols * sizeof(float);
  const std::string path = Put("big.gguf", *header);
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const float value = 42;
  const bool is_written =
      pwrite(fd, &value, sizeof value, static_cast<off_t>(last_offset)) == sizeof value;
  close(fd);
  ASSERT_TRUE(is_written) << "this file system holds no sparse file of 5 GiB";

  const auto source = ModelSource::Open(path);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ((*source)->Find("big")->data.size(), uint64_t{5} << 30);
  EXPECT_EQ((*source)->Find("last")->offset, last_offset);
  EXPECT_EQ(FirstValue(*(*source)->Find("last")), value);

  ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(last_offset)), 0);
  ExpectRefusal(path, "\"last\"");
}

TEST_F(ModelSourceTest, FolderWithSafetensors) {
  ExpectRefusal(folder_, "config.json");
  Put("config.json", R"({"model_type":"llama"})");
  ExpectRefusal(folder_, "model.safetensors");
  Put("model.safetensors",
      SafetensorsFile(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  const auto source = ModelSource::Open(folder_);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ((*source)->kind(), ModelSource::Kind::kHuggingFace);
  EXPECT_EQ((*source)->config()["model_type"], "llama");
  EXPECT_TRUE((*source)->Find("w"));
  Put("config.json", "[1]");
  ExpectRefusal(folder_, "not an object");
  Put("config.json", std::string(100000, '['));
  ExpectRefusal(folder_, "deeper");
  Put("config.json", std::string((1 << 20) + 1, ' '));
  ExpectRefusal(folder_, "larger");
}

TEST_F(ModelSourceTest, ShardedSafetensors) {
  Put("config.json", "{}");
  Put("m-1.safetensors",
      SafetensorsFile(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  Put("m-2.safetensors",
      SafetensorsFile(R"({"b":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4));
  const auto put_index = [&](std::string_view map) {
    Put("model.safetensors.index.json", fmt::format(R"({{"weight_map":{{{}}}}})", map));
  };
  put_index(R"("a":"m-1.safetensors","b":"m-2.safetensors")");
  const auto source = ModelSource::Open(folder_);
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ((*source)->tensors().size(), 2u);
  EXPECT_EQ((*source)->Find("b")->file, 1);
  put_index(R"("a":"m-2.safetensors","b":"m-1.safetensors")");
  ExpectRefusal(folder_, "weight_map says");
  put_index(R"("a":"m-1.safetensors","b":"m-2.safetensors","c":"m-2.safetensors")");
  ExpectRefusal(folder_, "\"c\"");
  put_index(R"("a":"m-1.safetensors","b":"m-3.safetensors")");
  ExpectRefusal(folder_, "m-3.safetensors");
  put_index(R"("a":"../m-1.safetensors")");
  ExpectRefusal(folder_, "plain file name");
}

TEST_F(ModelSourceTest, RefusesWhatIsNoModel) {
  ExpectRefusal(Path("absent.gguf"), "No such file");
  ExpectRefusal(Put("empty.gguf", ""), "empty");
  ExpectRefusal("/dev/zero", "regular file");
}

}  // namespace
}  // namespace lamina::format
