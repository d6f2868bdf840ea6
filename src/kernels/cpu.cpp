#include "kernels/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace lamina::kernels {

Cpu CpuFromCpuid(FunctionRef<CpuidLeaf(uint32_t, uint32_t)> cpuid, FunctionRef<uint64_t()> xcr0) {
  constexpr uint64_t kYmm = 0x06, kZmm = 0xE0;  // XMM and YMM; opmask and ZMM
  const auto bit = [](uint32_t word, int index) { return (word >> index & 1) != 0; };
  Cpu cpu;
  const CpuidLeaf basic = cpuid(1, 0);
  if (!bit(basic.c, 27)) return cpu;  // no OSXSAVE: xgetbv would be an illegal instruction
  const uint64_t saved = xcr0();
  if ((saved & kYmm) != kYmm) return cpu;
  const CpuidLeaf extended = cpuid(7, 0);
  cpu.fma = bit(basic.c, 12);
  cpu.f16c = bit(basic.c, 29);
  cpu.avx2 = bit(extended.b, 5);
  const CpuidLeaf more = extended.a >= 1 ? cpuid(7, 1) : CpuidLeaf{};
  cpu.avxvnni = cpu.avx2 && bit(more.a, 4);
  cpu.avx512 = (saved & kZmm) == kZmm && bit(extended.b, 16) && bit(extended.b, 17) &&
               bit(extended.b, 30) && bit(extended.b, 31);
  cpu.avx512vnni = cpu.avx512 && bit(extended.c, 11);
  cpu.avx512bf16 = cpu.avx512 && bit(more.a, 5);
  return cpu;
}

#if defined(__x86_64__)

Cpu DetectCpu() {
  const auto leaf = [](uint32_t index, uint32_t subleaf) {
    CpuidLeaf out;
    __get_cpuid_count(index, subleaf, &out.a, &out.b, &out.c, &out.d);
    return out;
  };
  const auto xcr0 = [] {
    uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
  };
  return CpuFromCpuid(leaf, xcr0);
}

#elif defined(__aarch64__)

Cpu DetectCpu() {
  // On CPUs with cores of several kinds the kernel reports what all of them have.
  Cpu cpu;
  cpu.neon_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  cpu.neon_i8mm = (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
  return cpu;
}

#else

Cpu DetectCpu() { return {}; }

#endif

}  // namespace lamina::kernels
