# The CPUs, best first: lamina_isa(NAME ARCHITECTURE "FLAGS" "PREDICATE" [TABLE_ONLY]). NAME is
# src/kernels/isa/NAME.cpp; the predicate is C++ over `cpu` (kernels/cpu.h). TABLE_ONLY: the file names another CPU's
# matrix products, so there is no unit per weight type.
set(no_false_warnings "-Wno-uninitialized -Wno-maybe-uninitialized")  # GCC 12's own intrinsics, PR 105593
# Units are never instrumented: a sanitized build only checks what calls them, and two CPUs do for that.
if(NOT LAMINA_SANITIZE)
  set(avx512 "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c ${no_false_warnings}")
  lamina_isa(avx512bf16 x86_64 "${avx512} -mavx512bf16" "cpu.avx512bf16 && cpu.avx512vnni && cpu.fma && cpu.f16c"
             TABLE_ONLY)
  lamina_isa(avx512vnni x86_64 "${avx512}" "cpu.avx512vnni && cpu.fma && cpu.f16c")
  lamina_isa(avxvnni x86_64 "-mavx2 -mfma -mf16c -mavxvnni" "cpu.avx2 && cpu.fma && cpu.f16c && cpu.avxvnni")
endif()
lamina_isa(avx2 x86_64 "-mavx2 -mfma -mf16c" "cpu.avx2 && cpu.fma && cpu.f16c")
lamina_isa(neon_i8mm aarch64 "-march=armv8.2-a+dotprod+i8mm" "cpu.neon_i8mm && cpu.neon_dotprod")
lamina_isa(neon aarch64 "-march=armv8.2-a+dotprod" "cpu.neon_dotprod")
lamina_isa(scalar any "-O3" "true")
