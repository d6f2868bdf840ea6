// What the processor and the operating system let this process execute.
#pragma once

#include <cstdint>

#include "base/function_ref.h"

namespace lamina::kernels {

/// Instruction set extensions that the tables need; all false on other architectures.
struct Cpu {
  bool avx2 = false, fma = false, f16c = false;  // with YMM state saved by the system
  bool avxvnni = false;
  bool avx512 = false;  // F, BW, DQ, VL, with ZMM state saved by the system
  bool avx512vnni = false;
  bool avx512bf16 = false;
  bool neon_dotprod = false;
  bool neon_i8mm = false;
};

/// EAX, EBX, ECX, EDX.
struct CpuidLeaf {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

/// What an x86 CPU can do: `cpuid` gives a leaf and subleaf (zeros beyond the last), `xcr0` the
/// state that the system saves; it is asked only where the CPU has xgetbv. Intel's manual, volume
/// 2, CPUID.
Cpu CpuFromCpuid(FunctionRef<CpuidLeaf(uint32_t, uint32_t)> cpuid, FunctionRef<uint64_t()> xcr0);

/// Asks the CPU. GCC's and clang's own builtin lacks f16c and avxvnni in versions that we support.
Cpu DetectCpu();

}  // namespace lamina::kernels
