#include "kernels/cpu.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace lamina::kernels {

#if defined(__x86_64__)

Cpu DetectCpu() {
  Cpu cpu;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  const auto bit = [](uint32_t word, int index) { return (word >> index & 1) != 0; };
  if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27)) return cpu;  // no OSXSAVE
  const bool fma = bit(c, 12), f16c = bit(c, 29);
  uint32_t xcr0_low = 0, xcr0_high = 0;
  __asm__("xgetbv" : "=a"(xcr0_low), "=d"(xcr0_high) : "c"(0));
  if ((xcr0_low & 0x06) != 0x06) return cpu;  // XMM and YMM
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return cpu;
  cpu.fma = fma;
  cpu.f16c = f16c;
  cpu.avx2 = bit(b, 5);
  if ((xcr0_low & 0xE0) == 0xE0) {  // opmask and ZMM
    cpu.avx512 = bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
    cpu.avx512vnni = cpu.avx512 && bit(c, 11);
  }
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) cpu.avxvnni = bit(a, 4);
  return cpu;
}

#elif defined(__aarch64__)

Cpu DetectCpu() {
  Cpu cpu;
  cpu.neon_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  return cpu;
}

#else

Cpu DetectCpu() { return {}; }

#endif

}  // namespace lamina::kernels
