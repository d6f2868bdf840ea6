# The CPUs, best first: lamina_isa(NAME ARCHITECTURE "FLAGS" "PREDICATE"). NAME is
# src/kernels/isa/NAME.cpp; the predicate is C++ over `cpu` (kernels/cpu.h).
lamina_isa(avx2 x86_64 "-mavx2 -mfma -mf16c" "cpu.avx2 && cpu.fma && cpu.f16c")
lamina_isa(scalar any "-O3" "true")
