// Specifications: both formats of every fixture give the same one; older and nested config.json
// files mean what newer ones mean; fields that change a specification are read.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/families.h"
#include "support.h"

namespace lamina::model::test {
namespace {

using nlohmann::json;

ModelSpec SpecOf(const std::string& path) {
  const auto source = format::ModelSource::Open(path);
  if (!source) throw std::runtime_error(source.error().message());
  auto spec = ReadSpec(**source);
  if (!spec) throw std::runtime_error(spec.error().message());
  return *spec;
}

// GGUF holds numbers as f32, config.json as decimal text.
void ExpectClose(double a, double b, const std::string& what) {
  EXPECT_NEAR(a, b, 2e-7 * std::abs(b)) << what;
}

void ExpectSame(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) ExpectClose(a[i], b[i], what);
}

void ExpectSame(const RopeSpec& a, const RopeSpec& b) {
  EXPECT_EQ(a.n_rot, b.n_rot);
  ExpectClose(a.theta, b.theta, "theta");
  ExpectClose(a.linear_factor, b.linear_factor, "linear_factor");
  ExpectSame(a.freq_divisors, b.freq_divisors, "freq_divisors");
  ExpectSame(a.long_divisors, b.long_divisors, "long_divisors");
  EXPECT_EQ(a.original_context, b.original_context);
  ExpectClose(a.magnitude, b.magnitude, "magnitude");
  ExpectClose(a.yarn_factor, b.yarn_factor, "yarn_factor");
  ExpectClose(a.yarn_beta_fast, b.yarn_beta_fast, "yarn_beta_fast");
  ExpectClose(a.yarn_beta_slow, b.yarn_beta_slow, "yarn_beta_slow");
}

void ExpectSame(const LayerSpec& a, const LayerSpec& b) {
  EXPECT_EQ(a.mixer, b.mixer);
  EXPECT_EQ(a.n_heads, b.n_heads);
  EXPECT_EQ(a.n_kv_heads, b.n_kv_heads);
  EXPECT_EQ(a.d_head, b.d_head);
  EXPECT_EQ(a.d_value, b.d_value);
  EXPECT_EQ(a.window, b.window);
  EXPECT_EQ(a.rope, b.rope);
  ExpectClose(a.attention_scale, b.attention_scale, "attention_scale");
  ExpectClose(a.attention_softcap, b.attention_softcap, "attention_softcap");
  EXPECT_EQ(a.qk_norm, b.qk_norm);
  EXPECT_EQ(a.value_norm, b.value_norm);
  EXPECT_EQ(a.output_gate, b.output_gate);
  EXPECT_EQ(a.kv_from_layer, b.kv_from_layer);
  EXPECT_EQ(a.d_ff, b.d_ff);
  EXPECT_EQ(a.activation, b.activation);
  EXPECT_EQ(a.n_experts, b.n_experts);
  EXPECT_EQ(a.n_experts_used, b.n_experts_used);
  EXPECT_EQ(a.normalize_expert_weights, b.normalize_expert_weights);
}

void ExpectSame(const ModelSpec& a, const ModelSpec& b) {
  EXPECT_EQ(a.family, b.family);
  EXPECT_EQ(a.n_vocab, b.n_vocab);
  EXPECT_EQ(a.d_model, b.d_model);
  EXPECT_EQ(a.max_context, b.max_context);
  EXPECT_EQ(a.norm_eps, b.norm_eps);
  ExpectClose(a.embedding_scale, b.embedding_scale, "embedding_scale");
  ExpectClose(a.residual_scale, b.residual_scale, "residual_scale");
  ExpectClose(a.logit_scale, b.logit_scale, "logit_scale");
  ExpectClose(a.final_softcap, b.final_softcap, "final_softcap");
  ExpectClose(a.query_log_beta, b.query_log_beta, "query_log_beta");
  EXPECT_EQ(a.query_log_original, b.query_log_original);
  EXPECT_EQ(a.tied_head, b.tied_head);
  EXPECT_EQ(a.conv_kernel, b.conv_kernel);
  EXPECT_EQ(a.n_k_heads, b.n_k_heads);
  EXPECT_EQ(a.n_v_heads, b.n_v_heads);
  EXPECT_EQ(a.d_k_head, b.d_k_head);
  EXPECT_EQ(a.d_v_head, b.d_v_head);
  EXPECT_EQ(a.d_per_layer_input, b.d_per_layer_input);
  ASSERT_EQ(a.ropes.size(), b.ropes.size());
  for (size_t i = 0; i < a.ropes.size(); ++i) ExpectSame(a.ropes[i], b.ropes[i]);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (size_t i = 0; i < a.layers.size(); ++i) {
    SCOPED_TRACE(i);
    ExpectSame(a.layers[i], b.layers[i]);
  }
}

class Fixture : public testing::TestWithParam<std::string> {};

TEST_P(Fixture, BothFormatsGiveTheSameSpecification) {
  ExpectSame(SpecOf(FamilyFolder(GetParam()) + "/model.gguf"),
             SpecOf(FamilyFolder(GetParam()) + "/hf"));
}

INSTANTIATE_TEST_SUITE_P(Families, Fixture, testing::ValuesIn(FamilyNames()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// A fixture's hf folder with another config.json.
class Configured {
 public:
  explicit Configured(const std::string& family)
      : folder_(testing::TempDir() + "spec_test_" + family) {
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(FamilyFolder(family) + "/hf", folder_);
    std::ifstream(folder_ + "/config.json") >> config;
  }
  ~Configured() { std::filesystem::remove_all(folder_); }

  ModelSpec Read() const {
    std::ofstream(folder_ + "/config.json") << config.dump();
    return SpecOf(folder_);
  }

  const std::string& folder() const { return folder_; }

  json config;

 private:
  std::string folder_;
};

TEST(Config, OldRopeFieldsMeanTheSame) {
  Configured llama("llama31");
  const ModelSpec now = llama.Read();
  json rope = llama.config["rope_parameters"];
  llama.config.erase("rope_parameters");
  llama.config["rope_theta"] = rope["rope_theta"];
  rope.erase("rope_theta");
  llama.config["rope_scaling"] = rope;
  ExpectSame(llama.Read(), now);

  Configured phi("phi4-mini");
  const ModelSpec phi_now = phi.Read();
  json scaling = phi.config["rope_parameters"];
  phi.config.erase("rope_parameters");
  phi.config["rope_theta"] = scaling["rope_theta"];
  phi.config["rope_scaling"] = {{"type", "longrope"},
                                {"long_factor", scaling["long_factor"]},
                                {"short_factor", scaling["short_factor"]}};
  ExpectSame(phi.Read(), phi_now);
}

TEST(Config, OldGemma3FieldsMeanTheSame) {
  Configured gemma("gemma3");
  const ModelSpec now = gemma.Read();
  gemma.config.erase("rope_parameters");
  gemma.config.erase("layer_types");
  gemma.config.erase("_sliding_window_pattern");
  gemma.config["rope_theta"] = 1e6;
  gemma.config["rope_local_base_freq"] = 10000.0;
  gemma.config["sliding_window_pattern"] = 6;
  ExpectSame(gemma.Read(), now);

  gemma.config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 8.0}};
  const ModelSpec scaled = gemma.Read();
  EXPECT_EQ(scaled.ropes[0].linear_factor, 8.0);
  EXPECT_EQ(scaled.ropes[1].linear_factor, 1.0) << "local layers are not scaled";

  gemma.config["sliding_window_pattern"] = 3;
  const ModelSpec other = gemma.Read();
  for (size_t i = 0; i < other.layers.size(); ++i) {
    EXPECT_EQ(other.layers[i].window, (i + 1) % 3 == 0 ? 0 : 16) << i;
    EXPECT_EQ(other.layers[i].rope, (i + 1) % 3 == 0 ? 0 : 1) << i;
  }
}

TEST(Config, TextModelsInsideMultimodalOnesAreRead) {
  Configured gemma("gemma3");
  const ModelSpec now = gemma.Read();
  gemma.config = {{"model_type", "gemma3"}, {"text_config", gemma.config}};
  ExpectSame(gemma.Read(), now);
}

TEST(Config, Gemma4HeadsWithoutPerLayerConfig) {
  Configured gemma("gemma4");
  const ModelSpec now = gemma.Read();
  gemma.config.erase("per_layer_config");
  gemma.config["global_head_dim"] = 32;
  ExpectSame(gemma.Read(), now);
}

TEST(Config, WindowsOfQwenNeedTheirSwitch) {
  Configured qwen("qwen2");
  qwen.config.erase("layer_types");
  qwen.config["sliding_window"] = 24;
  qwen.config["max_window_layers"] = 1;
  for (const LayerSpec& layer : qwen.Read().layers) EXPECT_EQ(layer.window, 0);
  qwen.config["use_sliding_window"] = true;
  const ModelSpec spec = qwen.Read();
  EXPECT_EQ(spec.layers[0].window, 0);
  EXPECT_EQ(spec.layers[1].window, 24);
  EXPECT_EQ(spec.layers[2].window, 24);
}

TEST(Config, DenseLayersOfQwen3Moe) {
  Configured qwen("qwen3moe");
  qwen.config["mlp_only_layers"] = {1};
  qwen.config["norm_topk_prob"] = false;
  const ModelSpec spec = qwen.Read();
  EXPECT_EQ(spec.layers[0].n_experts, 8);
  EXPECT_EQ(spec.layers[0].d_ff, 32);
  EXPECT_FALSE(spec.layers[0].normalize_expert_weights);
  EXPECT_EQ(spec.layers[1].n_experts, 0);
  EXPECT_EQ(spec.layers[1].d_ff, 96);
}

TEST(Config, WidthOfLfm2IsAdjustedWhereTheFileSaysSo) {
  Configured lfm("lfm2");
  lfm.config["block_auto_adjust_ff_dim"] = true;
  lfm.config["block_ffn_dim_multiplier"] = 1.5;
  lfm.config["block_multiple_of"] = 64;
  EXPECT_EQ(lfm.Read().layers[0].d_ff, 128);  // 2 / 3 * 96 * 1.5 = 96, up to a multiple of 64.
}

TEST(Config, AHeadThatIsNotTiedMustBeThere) {
  Configured gemma("gemma2");
  gemma.config["tie_word_embeddings"] = false;
  const ModelSpec spec = gemma.Read();
  EXPECT_FALSE(spec.tied_head);
  const auto source = format::ModelSource::Open(gemma.folder());
  ASSERT_TRUE(source);
  const auto plan = PlanTensors(**source, spec);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message().find("lm_head.weight"), std::string::npos);
}

// What is not supported is refused by name, never run as something else.
TEST(Config, WhatCannotBeRunIsRefused) {
  const struct {
    const char* family;
    const char* field;
    json value;
  } cases[] = {{"llama", "hidden_act", "relu"},
               {"gemma3", "use_bidirectional_attention", true},
               {"gemma4", "enable_moe_block", true},
               {"llama", "rope_parameters", {{"rope_type", "spiral"}, {"factor", 2.0}}},
               {"llama", "rope_parameters", "linear"},
               {"llama", "rope_parameters", json::array({1})},
               {"llama", "model_type", ""}};
  for (const auto& c : cases) {
    Configured model(c.family);
    model.config[c.field] = c.value;
    std::string message;
    try {
      model.Read();
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    EXPECT_FALSE(message.empty()) << c.family << " " << c.field << " was read";
    EXPECT_NE(message.find("config.json"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace lamina::model::test
