#include "kernels/dispatch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace lamina::kernels {
namespace {

TEST(Dispatch, ScalarIsAlwaysThereAndLast) {
  ASSERT_FALSE(Available().empty());
  EXPECT_STREQ(Available().back()->isa, "scalar");
}

TEST(Dispatch, SelectsByNameThenEnvironmentThenBest) {
  unsetenv("LAMINA_ISA");
  EXPECT_EQ(Select("").value(), Available().front());
  setenv("LAMINA_ISA", "scalar", 1);
  EXPECT_STREQ(Select("").value()->isa, "scalar");
  EXPECT_EQ(Select(Available().front()->isa).value(), Available().front());
  setenv("LAMINA_ISA", "avx9", 1);
  const auto wrong = Select("");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code(), Code::kInvalidArgument);
  EXPECT_NE(wrong.error().message().find("LAMINA_ISA \"avx9\""), std::string::npos);
  EXPECT_NE(wrong.error().message().find("scalar"), std::string::npos);
  unsetenv("LAMINA_ISA");
}

#if defined(__x86_64__)
// What the CPU says, by leaf, and what the system saves.
struct Machine {
  const char* name;
  uint32_t ecx1, ebx7, ecx7, max_subleaf, eax7_1;
  uint64_t xcr0;
  const char* best;
  const char* best_of_sanitized;  // That build has no AVX-512 and AVX-VNNI units.
};

constexpr uint32_t kFma = 1u << 12, kXsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;
constexpr uint32_t kHaswell = kFma | kXsave | kAvx | kF16c;
constexpr uint32_t kAvx2 = 1u << 5, kAvx512 = kAvx2 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
constexpr uint32_t kVnni = 1u << 11, kAvxVnni = 1u << 4, kBf16 = 1u << 5;
constexpr uint64_t kSse = 3, kYmm = 7, kZmm = 0xE7;

constexpr Machine kMachines[] = {
    {"Nehalem", 0, 0, 0, 0, 0, kSse, "scalar", "scalar"},
    {"Sandy Bridge: AVX alone", kXsave | kAvx, 0, 0, 0, 0, kYmm, "scalar", "scalar"},
    {"a system without XSAVE", kFma | kF16c, kAvx512, kVnni, 1, kBf16, kZmm, "scalar", "scalar"},
    {"a system that saves XMM alone", kHaswell, kAvx2, 0, 0, 0, kSse, "scalar", "scalar"},
    {"Haswell", kHaswell, kAvx2, 0, 0, 0, kYmm, "avx2", "avx2"},
    {"a guest without F16C", kFma | kXsave | kAvx, kAvx2, 0, 0, 0, kYmm, "scalar", "scalar"},
    {"Skylake-X: AVX-512, no VNNI", kHaswell, kAvx512, 0, 0, 0, kZmm, "avx2", "avx2"},
    {"Knights Landing: AVX-512 F alone", kHaswell, kAvx2 | 1u << 16, 0, 0, 0, kZmm, "avx2", "avx2"},
    {"Ice Lake", kHaswell, kAvx512, kVnni, 0, 0, kZmm, "avx512vnni", "avx2"},
    {"Ice Lake, ZMM state not saved", kHaswell, kAvx512, kVnni, 0, 0, kYmm, "avx2", "avx2"},
    {"Ice Lake, opmask not saved", kHaswell, kAvx512, kVnni, 0, 0, 0xC7, "avx2", "avx2"},
    {"Alder Lake: hybrid, no AVX-512", kHaswell, kAvx2, 0, 1, kAvxVnni, kYmm, "avxvnni", "avx2"},
    {"Zen 4", kHaswell, kAvx512, kVnni, 1, kBf16, kZmm, "avx512bf16", "avx2"},
    {"Zen 5", kHaswell, kAvx512, kVnni, 1, kBf16 | kAvxVnni, kZmm, "avx512bf16", "avx2"},
    {"Zen 5, ZMM state not saved", kHaswell, kAvx512, kVnni, 1, kBf16 | kAvxVnni, kYmm, "avxvnni",
     "avx2"},
    {"BF16 without VNNI", kHaswell, kAvx512, 0, 1, kBf16, kZmm, "avx2", "avx2"},
    {"a subleaf that does not exist", kHaswell, kAvx512, kVnni, 0, kBf16, kZmm, "avx512vnni",
     "avx2"},
};

TEST(Dispatch, TakesTheBestThatCpuAndSystemAllow) {
  const bool sanitized =
      TablesFor({.avx2 = true, .fma = true, .f16c = true, .avxvnni = true}).size() < 3;
  for (const Machine& machine : kMachines) {
    bool asked = false;
    const auto cpuid = [&](uint32_t leaf, uint32_t subleaf) -> CpuidLeaf {
      if (leaf == 1) return {0, 0, machine.ecx1, 0};
      if (subleaf == 0) return {machine.max_subleaf, machine.ebx7, machine.ecx7, 0};
      return {machine.eax7_1, 0, 0, 0};
    };
    const auto xcr0 = [&] {
      asked = true;
      return machine.xcr0;
    };
    const auto tables = TablesFor(CpuFromCpuid(cpuid, xcr0));
    ASSERT_FALSE(tables.empty()) << machine.name;
    EXPECT_STREQ(tables.front()->isa, sanitized ? machine.best_of_sanitized : machine.best)
        << machine.name;
    EXPECT_STREQ(tables.back()->isa, "scalar") << machine.name;
    EXPECT_EQ(asked, (machine.ecx1 & kXsave) != 0) << machine.name;
  }
}
#endif

TEST(Dispatch, AnUnavailableOneIsRefusedWithThoseThereAre) {
  for (const char* name : {"avx512bf16", "avx512vnni", "avxvnni", "avx2", "neon"}) {
    bool available = false;
    for (const Table* table : Available())
      available = available || std::string_view(table->isa) == name;
    if (available) continue;
    const auto refused = Select(name);
    ASSERT_FALSE(refused.has_value()) << name;
    for (const Table* table : Available()) {
      EXPECT_NE(refused.error().message().find(table->isa), std::string::npos) << name;
    }
  }
}

}  // namespace
}  // namespace lamina::kernels
