# The CPUs, best first: lamina_isa(NAME ARCHITECTURE "FLAGS" "PREDICATE"). NAME is
# src/kernels/isa/NAME.cpp; the predicate is C++ over `cpu` (kernels/cpu.h).
set(no_false_warnings "-Wno-uninitialized -Wno-maybe-uninitialized")  # GCC 12's own intrinsics, PR 105593
# Units are never instrumented: a sanitized build only checks what calls them, and two CPUs do for that.
if(NOT LAMINA_SANITIZE)
  lamina_isa(avx512vnni x86_64 "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c ${no_false_warnings}"
             "cpu.avx512vnni && cpu.fma && cpu.f16c")
  lamina_isa(avxvnni x86_64 "-mavx2 -mfma -mf16c -mavxvnni" "cpu.avx2 && cpu.fma && cpu.f16c && cpu.avxvnni")
endif()
lamina_isa(avx2 x86_64 "-mavx2 -mfma -mf16c" "cpu.avx2 && cpu.fma && cpu.f16c")
lamina_isa(neon aarch64 "-march=armv8.2-a+dotprod" "cpu.neon_dotprod")
lamina_isa(scalar any "-O3" "true")
