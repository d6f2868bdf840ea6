#include "cli/settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "cli/numbers.h"
#include "cli/sampler_fields.h"

namespace lamina::cli {
namespace {

class SettingsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "lamina_settings_test";
    std::filesystem::create_directories(folder_ + "/lamina");
    setenv("XDG_CONFIG_HOME", folder_.c_str(), 1);
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("LAMINA_TEST_KEY");
  }
  void Write(const std::string& text) { std::ofstream(folder_ + "/lamina/lamina.toml") << text; }

  std::string folder_;
};

TEST_F(SettingsTest, TheEnvironmentBeatsTheFileAndAVerbsTableBeatsItsTop) {
  Write("test_key = 1\nother = 0.5\n[run]\ntest_key = 2\nword = \"text\"\nflag = true\n");
  const auto settings = Settings::Read();
  ASSERT_TRUE(settings.has_value()) << settings.status().message();
  EXPECT_EQ(settings->Find("run", "test_key")->text, "2");
  EXPECT_EQ(settings->Find("bench", "test_key")->text, "1");
  EXPECT_EQ(settings->Find("run", "other")->text, "0.5");
  EXPECT_EQ(settings->Find("run", "word")->text, "text");
  EXPECT_EQ(settings->Find("run", "flag")->text, "true");
  EXPECT_FALSE(settings->Find("bench", "word").has_value());
  setenv("LAMINA_TEST_KEY", "3", 1);
  EXPECT_EQ(settings->Find("run", "test_key")->text, "3");
  EXPECT_EQ(settings->Find("run", "test_key")->origin, "LAMINA_TEST_KEY");
}

TEST_F(SettingsTest, NoFileIsNoError) {
  const auto settings = Settings::Read();
  ASSERT_TRUE(settings.has_value());
  EXPECT_FALSE(settings->Find("run", "threads").has_value());
}

TEST_F(SettingsTest, MistakesAreNamed) {
  Write("threads = \n");
  const auto broken = Settings::Read();
  ASSERT_FALSE(broken.has_value());
  EXPECT_NE(broken.error().message().find("line 1"), std::string::npos);
  Write("threads = [1]\n");
  EXPECT_FALSE(Settings::Read().has_value());
  Write("[run]\ntreads = 2\n[server]\nanything = 1\n");
  const auto settings = Settings::Read();
  ASSERT_TRUE(settings.has_value());
  const auto known = settings->CheckKeys({{"run", {"threads"}}});
  ASSERT_FALSE(known.has_value());
  EXPECT_NE(known.error().message().find("run.treads"), std::string::npos);
  EXPECT_TRUE(settings->CheckKeys({{"run", {"treads"}}}).has_value());
}

TEST(NumbersTest, AreReadStrictly) {
  EXPECT_EQ(*ParseWhole("top_k", "-3", -5, 5), -3);
  for (const char* text : {"", " 1", "1 ", "1.5", "0x1", "6", "99999999999999999999", "one"}) {
    const auto value = ParseWhole("top_k", text, -5, 5);
    ASSERT_FALSE(value.has_value()) << text;
    EXPECT_EQ(value.error().message().rfind("top_k is ", 0), 0u);
  }
  EXPECT_EQ(*ParseReal("temperature", "1e-3"), 1e-3f);
  for (const char* text : {"", "1e999", "1,5", "cold", "1.0f"}) {
    EXPECT_FALSE(ParseReal("temperature", text).has_value()) << text;
  }
  EXPECT_EQ(*ParseUnsigned("seed", "18446744073709551615"), 18446744073709551615u);
  EXPECT_FALSE(ParseUnsigned("seed", "-1").has_value());
  EXPECT_TRUE(*ParseBool("json", "on"));
  EXPECT_FALSE(*ParseBool("json", "0"));
  EXPECT_FALSE(ParseBool("json", "maybe").has_value());
}

TEST(SamplerFieldsTest, EveryFieldIsSetByItsName) {
  engine::SamplerOptions options;
  for (const SamplerField& field : SamplerFields()) {
    ASSERT_TRUE(SetSamplerField(options, field.name, "2").has_value()) << field.name;
    EXPECT_EQ(SamplerFieldText(options, field), "2") << field.name;
  }
  EXPECT_EQ(options.top_k, 2);
  EXPECT_EQ(options.min_p, 2.0f);
  const auto unknown = SetSamplerField(options, "topk", "2");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_NE(unknown.error().message().find("top_k"), std::string::npos);
}

TEST(SamplerFieldsTest, LogitBiasIsAList) {
  engine::SamplerOptions options;
  ASSERT_TRUE(ParseLogitBias("7=1.5,8=-inf", options).has_value());
  ASSERT_EQ(options.logit_bias.size(), 2u);
  EXPECT_EQ(options.logit_bias[0], (std::pair<int32_t, float>(7, 1.5f)));
  EXPECT_LT(options.logit_bias[1].second, -1e38f);
  for (const char* text : {"7", "=1", "a=1", "7=b", "-1=2"}) {
    EXPECT_FALSE(ParseLogitBias(text, options).has_value()) << text;
  }
}

}  // namespace
}  // namespace lamina::cli
