// Files of the Python package gguf are read right, and it reads what GgufWriter writes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "byte_builder.h"
#include "format/gguf_writer.h"
#include "format/model_source.h"
#include "tests/support/paths.h"

namespace lamina::format {
namespace {

int RunOracle(const std::string& arguments) {
  return std::system(
      ("python3 " + checkout::SourceFolder() + "/tests/oracles/gguf_oracle.py " + arguments)
          .c_str());
}

std::string Folder() {
  const std::string folder = testing::TempDir() + "lamina_gguf_oracle_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  return folder;
}

nlohmann::json AsJson(const Value& value) {
  return std::visit([](const auto& v) { return nlohmann::json(v); }, value);
}

TEST(GgufOracle, ReadsWhatThePackageWrites) {
  const std::string folder = Folder();
  ASSERT_EQ(RunOracle("write " + folder), 0);
  int n_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    ++n_files;
    const auto source = ModelSource::Open(entry.path());
    ASSERT_TRUE(source) << source.error().message();
    const auto expected = nlohmann::json::parse(std::ifstream(entry.path().string() + ".json"));
    EXPECT_EQ(expected["metadata"].size(), (*source)->metadata().entries().size());
    for (const auto& [key, value] : expected["metadata"].items()) {
      const Value* found = (*source)->metadata().Find(key);
      ASSERT_TRUE(found) << key;
      EXPECT_EQ(AsJson(*found), value) << key;
    }
    EXPECT_EQ(expected["tensors"].size(), (*source)->tensors().size());
    for (const auto& [name, fields] : expected["tensors"].items()) {
      const Tensor* tensor = (*source)->Find(name);
      ASSERT_TRUE(tensor) << name;
      EXPECT_EQ(tensor->type->name, fields["type"].get<std::string>());
      EXPECT_EQ(nlohmann::json(tensor->shape), fields["shape"]);
      EXPECT_EQ(nlohmann::json(std::vector<uint8_t>(tensor->data.begin(), tensor->data.end())),
                fields["bytes"]);
    }
  }
  EXPECT_EQ(n_files, 20);
  std::filesystem::remove_all(folder);
}

TEST(GgufOracle, ThePackageReadsWhatIsWritten) {
  const std::string folder = Folder();
  const std::string path = folder + "/lamina.gguf";
  GgufWriter writer;
  writer.Set("general.architecture", std::string("llama"));
  writer.Set("number", uint64_t{70000});
  writer.Set("small", GgufValueType::kUint16, uint64_t{7});
  writer.Set("wide", uint64_t{1} << 40);
  writer.Set("negative", int64_t{-4});
  writer.Set("half", 0.5);
  writer.Set("flag", true);
  writer.Set("words", std::vector<std::string>{"a", "", "\xc3\xa9"});
  writer.Set("numbers", std::vector<int64_t>{1, -2, 3});
  writer.AddTensor("f", *quant::FindType("F32"), {2, 3});
  writer.AddTensor("q", *quant::FindType("Q8_0"), {2, 64});
  const float f[] = {0, 1, 2, 3, 4, 5};
  std::vector<uint8_t> q(4 * 34);
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<uint8_t>(i);
  const auto written = writer.Write(path, [&](size_t i) -> Result<Bytes> {
    if (i == 1) return Bytes(q);
    return Bytes(reinterpret_cast<const uint8_t*>(f), sizeof f);
  });
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_EQ(RunOracle("check " + path), 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lamina::format
