// Every weight type: dequantization against the Python package gguf, packing against
// dequantization.
#include "quant/type.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"

namespace lamina::quant {
namespace {

std::string cases_path;  // from the command line

struct Case {
  std::string name;
  uint32_t n_blocks, block_bytes, block_values;
  const uint8_t* blocks;
  const uint8_t* values;  // f32, unaligned
};

std::vector<Case> ReadCases(const std::string& file) {
  std::vector<Case> cases;
  const uint8_t* p = reinterpret_cast<const uint8_t*>(file.data());
  const uint8_t* end = p + file.size();
  while (end - p >= 28) {
    Case c;
    c.name = std::string(reinterpret_cast<const char*>(p));
    std::memcpy(&c.n_blocks, p + 16, 12);
    c.blocks = p + 28;
    c.values = c.blocks + size_t(c.n_blocks) * c.block_bytes;
    p = c.values + size_t(c.n_blocks) * c.block_values * 4;
    EXPECT_LE(p, end);
    cases.push_back(c);
  }
  return cases;
}

// NaNs carry no meaning in their bits; everything else must be the same bit for bit.
bool SameBits(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, 4) == 0;
}

std::unique_ptr<uint8_t, decltype(&std::free)> AlignedBytes(int64_t n_bytes) {
  return {static_cast<uint8_t*>(std::aligned_alloc(64, size_t(n_bytes + 63) / 64 * 64)),
          &std::free};
}

TEST(QuantType, DequantizeEqualsTheReference) {
  auto file = ReadFile(cases_path, 1 << 26);
  ASSERT_TRUE(file.has_value()) << file.status().message()
                                << ": run it through ctest, which makes the cases";
  const std::vector<Case> cases = ReadCases(*file);
  // The oracle makes cases for every type of all_types.h that the reference has.
  ASSERT_GE(cases.size(), 16u);
  ASSERT_LE(cases.size(), Types().size());
  for (const Case& c : cases) {
    const TypeInfo* type = FindType(c.name);
    ASSERT_NE(type, nullptr) << c.name;
    ASSERT_EQ(type->block_bytes, c.block_bytes) << c.name;
    ASSERT_EQ(type->block_values, c.block_values) << c.name;
    std::vector<float> out(size_t(c.n_blocks) * c.block_values);
    type->dequantize(c.blocks, c.n_blocks, out.data());
    int64_t n_wrong = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      float expected;
      std::memcpy(&expected, c.values + 4 * i, 4);
      if (!SameBits(out[i], expected) && n_wrong++ == 0) {
        ADD_FAILURE() << c.name << " block " << i / c.block_values << " value "
                      << i % c.block_values << ": " << out[i] << ", expected " << expected;
      }
    }
    EXPECT_EQ(n_wrong, 0) << c.name;
  }
}

TEST(QuantType, UnpackOfPackEqualsDequantize) {
  std::mt19937 random(7);
  for (const TypeInfo& type : Types()) {
    for (int64_t n_cols : {32, 64, 96, 256, 512, 576, 768}) {
      if (n_cols % type.block_values != 0) continue;
      const int64_t n_blocks = n_cols / type.block_values;
      std::vector<std::vector<uint8_t>> rows(kPanelRows);
      std::vector<const uint8_t*> pointers(kPanelRows, nullptr);
      for (int row = 0; row < kPanelRows - 3; ++row) {  // the last three are null
        rows[row].resize(n_blocks * type.block_bytes);
        for (uint8_t& byte : rows[row]) byte = uint8_t(random());
        pointers[row] = rows[row].data();
      }
      const int64_t panel_bytes = type.panel_bytes(n_cols);
      ASSERT_EQ(panel_bytes % 64, 0);
      auto panel = AlignedBytes(panel_bytes + 64);
      std::memset(panel.get(), 0xA5, size_t(panel_bytes) + 64);
      type.pack_panel(pointers.data(), n_cols, panel.get());
      for (int i = 0; i < 64; ++i) ASSERT_EQ(panel.get()[panel_bytes + i], 0xA5) << type.name;
      std::vector<float> expected(n_cols), out(n_cols);
      for (int row = 0; row < kPanelRows; ++row) {
        if (pointers[row] != nullptr) {
          type.dequantize(pointers[row], n_blocks, expected.data());
        } else {
          std::fill(expected.begin(), expected.end(), 0.0f);
        }
        type.unpack_row(panel.get(), row, n_cols, out.data());
        for (int64_t k = 0; k < n_cols; ++k) {
          const bool equal = pointers[row] ? SameBits(out[k], expected[k]) : out[k] == 0.0f;
          ASSERT_TRUE(equal) << type.name << " n_cols " << n_cols << " row " << row << " k " << k
                             << ": " << out[k] << ", expected " << expected[k];
        }
      }
    }
  }
}

TEST(QuantType, PanelsAreAsBigAsTheRowsTheyHold) {
  for (const TypeInfo& type : Types()) {
    const int64_t n_cols = 4096;
    const int64_t row_bytes = n_cols / type.block_values * type.block_bytes;
    // MXFP4's scale takes two bytes instead of one.
    EXPECT_GE(type.panel_bytes(n_cols), kPanelRows * row_bytes) << type.name;
    EXPECT_LE(type.panel_bytes(n_cols), kPanelRows * row_bytes * 18 / 17) << type.name;
  }
}

TEST(QuantType, FindsByNameAndNumber) {
  for (const TypeInfo& type : Types()) {
    EXPECT_EQ(FindType(type.name), &type);
    EXPECT_EQ(FindType(type.ggml_id), &type);
    EXPECT_EQ(&Types()[IndexOf(type)], &type);
  }
  EXPECT_EQ(FindType("Q4_2"), nullptr);
  EXPECT_EQ(FindType(4u), nullptr);
  EXPECT_EQ(FindType("Q4_K")->ggml_id, 12u);
  EXPECT_EQ(FindType("MXFP4")->ggml_id, 39u);
}

}  // namespace
}  // namespace lamina::quant

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) lamina::quant::cases_path = argv[1];
  return RUN_ALL_TESTS();
}
