// Files that are well formed and describe no model: one clear error that names the field or tensor.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "format/gguf_writer.h"
#include "model/memory.h"
#include "support.h"

namespace lamina::model::test {
namespace {

using format::Metadata;
using format::Tensor;
using format::Value;

/// One fault put into a fixture, and words that the error must have.
struct Fault {
  std::string name;
  std::string family;
  std::function<void(Metadata&)> metadata = [](Metadata&) {};
  std::function<bool(Tensor&)> keep = [](Tensor&) { return true; };  ///< May change the shape.
  Code code = Code::kInvalidArgument;
  std::vector<std::string> words;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

Fault Key(std::string name, std::string key, Value value, std::vector<std::string> words,
          Code code = Code::kInvalidArgument, std::string family = "llama") {
  Fault fault{.name = std::move(name), .family = std::move(family)};
  fault.metadata = [key = std::move(key), value = std::move(value)](Metadata& m) {
    m.Set(key, value);
  };
  fault.code = code;
  fault.words = std::move(words);
  return fault;
}

Fault Shape(std::string name, std::string tensor, std::vector<int64_t> shape,
            std::string family = "llama") {
  Fault fault{.name = std::move(name), .family = std::move(family)};
  fault.words = {tensor};
  fault.keep = [tensor = std::move(tensor), shape = std::move(shape)](Tensor& t) {
    if (t.name == tensor) t.shape = shape;
    return true;
  };
  return fault;
}

Fault Missing(std::string name, std::string tensor, std::string family = "llama") {
  Fault fault{.name = std::move(name), .family = std::move(family)};
  fault.words = {tensor};
  fault.keep = [tensor = std::move(tensor)](Tensor& t) { return t.name != tensor; };
  return fault;
}

std::vector<Fault> Faults() {
  const auto u = [](uint64_t x) { return Value(x); };
  return {
      Key("block_count_0", "llama.block_count", u(0), {"llama.block_count", "0"}),
      Key("block_count_513", "llama.block_count", u(513), {"llama.block_count", "513"}),
      Key("block_count_2_63", "llama.block_count", u(uint64_t{1} << 63), {"llama.block_count"}),
      Key("block_count_text", "llama.block_count", Value(std::string("3")), {"llama.block_count"}),
      Key("block_count_more_than_tensors", "llama.block_count", u(4), {"blk.3."}),
      Key("head_count_0", "llama.attention.head_count", u(0), {"llama.attention.head_count", "0"}),
      Key("head_count_negative", "llama.attention.head_count", Value(int64_t{-4}),
          {"llama.attention.head_count"}),
      Key("head_count_8", "llama.attention.head_count", u(8), {"blk.0.attn_q.weight"}),
      Key("head_count_kv_0", "llama.attention.head_count_kv", u(0), {"head_count_kv"}),
      Key("head_count_kv_3", "llama.attention.head_count_kv", u(3), {"head_count_kv", "3"}),
      Key("head_count_kv_list_too_short", "llama.attention.head_count_kv",
          Value(std::vector<uint64_t>{2, 2}), {"llama.attention.head_count_kv"}),
      Key("embedding_length_0", "llama.embedding_length", u(0), {"llama.embedding_length"}),
      Key("embedding_length_65", "llama.embedding_length", u(65), {"weight"}),
      Key("embedding_length_2_40", "llama.embedding_length", u(uint64_t{1} << 40),
          {"llama.embedding_length"}),
      Key("feed_forward_length_0", "llama.feed_forward_length", u(0),
          {"llama.feed_forward_length"}),
      Key("feed_forward_length_97", "llama.feed_forward_length", u(97), {"ffn_"}),
      Key("context_length_0", "llama.context_length", u(0), {"llama.context_length"}),
      Key("key_length_0", "llama.attention.key_length", u(0), {"key_length"}),
      Key("key_length_20", "llama.attention.key_length", u(20), {"blk.0.attn_q.weight", "80"}),
      Key("key_length_4096", "llama.attention.key_length", u(4096), {"key_length"}),
      Key("rope_wider_than_head", "llama.rope.dimension_count", u(32), {"rope.dimension_count"}),
      Key("rope_odd", "llama.rope.dimension_count", u(15), {"rope.dimension_count"}),
      Key("rope_base_0", "llama.rope.freq_base", Value(0.0), {"llama.rope.freq_base"}),
      Key("rope_base_nan", "llama.rope.freq_base", Value(std::nan("")), {"llama.rope.freq_base"}),
      Key("epsilon_negative", "llama.attention.layer_norm_rms_epsilon", Value(-1.0),
          {"llama.attention.layer_norm_rms_epsilon"}),
      Key("architecture_unknown", "general.architecture", Value(std::string("gpt9")),
          {"gpt9", "llama", "gemma3", "qwen3"}, Code::kUnimplemented),
      Key("rope_scaling_unknown", "llama.rope.scaling.type", Value(std::string("spiral")),
          {"spiral"}, Code::kUnimplemented),
      Key("experts_used_0", "llama.expert_used_count", u(0), {"expert_used_count"},
          Code::kInvalidArgument, "mixtral"),
      Key("experts_used_more", "llama.expert_used_count", u(5), {"expert_used_count"},
          Code::kInvalidArgument, "mixtral"),
      Key("experts_2_31", "llama.expert_count", u(uint64_t{1} << 31), {"expert_count"},
          Code::kInvalidArgument, "mixtral"),
      Key("experts_fewer_than_tensors", "llama.expert_count", u(8), {"ffn_gate_inp.weight"},
          Code::kInvalidArgument, "mixtral"),
      Key("conv_kernel_0", "qwen35.ssm.conv_kernel", u(0), {"conv_kernel"}, Code::kInvalidArgument,
          "qwen35"),
      Key("state_size_0", "qwen35.ssm.state_size", u(0), {"state_size"}, Code::kInvalidArgument,
          "qwen35"),
      Key("l_cache_99", "lfm2.shortconv.l_cache", u(99), {"l_cache"}, Code::kInvalidArgument,
          "lfm2"),
      Key("shared_layers_all", "gemma4.attention.shared_kv_layers", u(12), {"shared_kv_layers"},
          Code::kInvalidArgument, "gemma4"),
      Shape("embedding_transposed", "token_embd.weight", {64, 512}),
      Shape("norm_two_dimensional", "blk.0.attn_norm.weight", {1, 32}),
      Shape("query_of_another_model", "blk.1.attn_q.weight", {32, 64}),
      Shape("expert_missing", "blk.0.ffn_gate_exps.weight", {3, 96, 64}, "mixtral"),
      Missing("no_embedding", "token_embd.weight"),
      Missing("no_output_norm", "output_norm.weight"),
      Missing("no_key", "blk.2.attn_k.weight"),
      Missing("no_ffn_norm", "blk.0.ffn_norm.weight"),
      Missing("no_router", "blk.1.ffn_gate_inp.weight", "mixtral"),
      Missing("no_conv", "blk.0.shortconv.conv.weight", "lfm2"),
  };
}

class BadModel : public testing::TestWithParam<Fault> {};

TEST_P(BadModel, IsRefusedByName) {
  const Fault& fault = GetParam();
  auto source = format::ModelSource::Open(FamilyFolder(fault.family) + "/model.gguf");
  ASSERT_TRUE(source) << source.error().message();
  Metadata metadata = (*source)->metadata();
  fault.metadata(metadata);
  format::GgufWriter writer;
  for (const auto& [key, value] : metadata.entries()) {
    if (!key.starts_with("tokenizer.")) writer.Set(key, value);
  }
  std::vector<Tensor> tensors;
  for (const Tensor& tensor : (*source)->tensors()) {
    Tensor changed = tensor;
    if (!fault.keep(changed)) continue;
    size_t n_bytes = sizeof(float);
    for (const int64_t size : changed.shape) n_bytes *= static_cast<size_t>(size);
    changed.data = changed.data.first(std::min(n_bytes, changed.data.size()));
    ASSERT_EQ(changed.data.size(), n_bytes) << "a fault may only make a tensor smaller";
    writer.AddTensor(changed.name, *changed.type, changed.shape);
    tensors.push_back(changed);
  }
  const std::string path = testing::TempDir() + "bad_" + fault.name + ".gguf";
  const auto written =
      writer.Write(path, [&](size_t i) -> Result<Bytes> { return tensors[i].data; });
  ASSERT_TRUE(written) << written.error().message();

  ThreadPool pool(1);
  const auto bad = format::ModelSource::Open(path);
  ASSERT_TRUE(bad) << bad.error().message();
  const auto model = Model::Load(**bad, pool, {});
  std::filesystem::remove(path);
  ASSERT_FALSE(model) << "it loaded";
  std::printf("%s: %s\n", fault.name.c_str(), model.error().message().c_str());
  EXPECT_EQ(model.error().code(), fault.code) << model.error().message();
  for (const std::string& word : fault.words) {
    EXPECT_NE(model.error().message().find(word), std::string::npos)
        << "no '" << word << "' in: " << model.error().message();
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, BadModel, testing::ValuesIn(Faults()),
                         [](const auto& info) { return info.param.name; });

// The fixture itself, written by the same code, loads: the faults above are what is refused.
TEST(GoodModel, LoadsAfterRewriting) {
  auto source = format::ModelSource::Open(FamilyFolder("llama") + "/model.gguf");
  ASSERT_TRUE(source);
  format::GgufWriter writer;
  for (const auto& [key, value] : (*source)->metadata().entries()) {
    if (!key.starts_with("tokenizer.")) writer.Set(key, value);
  }
  for (const Tensor& t : (*source)->tensors()) writer.AddTensor(t.name, *t.type, t.shape);
  const std::string path = testing::TempDir() + "good.gguf";
  ASSERT_TRUE(
      writer.Write(path, [&](size_t i) -> Result<Bytes> { return (*source)->tensors()[i].data; }));
  ThreadPool pool(1);
  EXPECT_NO_THROW(LoadModel(path, pool));
  std::filesystem::remove(path);
}

// A folder with the fixture's config.json changed.
TEST(BadConfig, NamesItsField) {
  const std::string from = FamilyFolder("llama") + "/hf";
  const std::string folder = testing::TempDir() + "bad_config";
  const struct {
    const char* field;
    nlohmann::json value;
  } faults[] = {{"num_hidden_layers", 0},    {"num_hidden_layers", 513}, {"num_attention_heads", 0},
                {"hidden_size", -64},        {"num_key_value_heads", 3}, {"model_type", "gpt9"},
                {"intermediate_size", "96"}, {"rms_norm_eps", nullptr},  {"head_dim", 513}};
  for (const auto& fault : faults) {
    std::filesystem::remove_all(folder);
    std::filesystem::copy(from, folder);
    nlohmann::json config;
    std::ifstream(from + "/config.json") >> config;
    config[fault.field] = fault.value;
    std::ofstream(folder + "/config.json") << config.dump();
    ThreadPool pool(1);
    const auto source = format::ModelSource::Open(folder);
    ASSERT_TRUE(source) << source.error().message();
    const auto model = Model::Load(**source, pool, {});
    ASSERT_FALSE(model) << fault.field << " = " << fault.value.dump() << " loaded";
    EXPECT_NE(model.error().message().find(fault.field), std::string::npos)
        << fault.field << ": " << model.error().message();
  }
  std::filesystem::remove_all(folder);
}

TEST(Memory, ATooLargeContextIsRefusedBeforeLoading) {
  auto source = format::ModelSource::Open(FamilyFolder("llama") + "/model.gguf");
  ASSERT_TRUE(source);
  const AvailableMemory have = ReadAvailableMemory();
  EXPECT_GT(have.bytes, 0u);
  const auto need = EstimateMemory(**source, {.context = 256});
  ASSERT_TRUE(need) << need.error().message();
  // Three layers of two heads of 16 keys and values in f32.
  EXPECT_EQ(need->kv_bytes, 256u * 3 * 2 * 32 * 4);
  EXPECT_GT(need->weight_bytes, 100'000u);
  EXPECT_GT(need->activation_bytes, 100'000u);
}

}  // namespace
}  // namespace lamina::model::test
