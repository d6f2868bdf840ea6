// What the processor and the operating system let this process execute.
#pragma once

namespace lamina::kernels {

/// Instruction set extensions that the tables need; all false on other architectures.
struct Cpu {
  bool avx2 = false, fma = false, f16c = false;  // with YMM state saved by the system
  bool avxvnni = false;
  bool avx512 = false;  // F, BW, DQ, VL, with ZMM state saved by the system
  bool avx512vnni = false;
  bool neon_dotprod = false;
};

/// Asks the CPU. GCC's and clang's own builtin lacks f16c and avxvnni in versions that we support.
Cpu DetectCpu();

}  // namespace lamina::kernels
