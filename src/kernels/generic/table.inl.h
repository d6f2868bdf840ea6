// The end of kernels/isa/<name>.cpp. CMake compiles that file once per weight type, with
// LAMINA_UNIT_TYPE set, for that type's matrix product alone, and once without, for the table.
// LAMINA_ISA names the CPU. A CPU that differs from another in the table alone says whose matrix
// products it takes (LAMINA_MATMUL_ISA), and which attention.
#include "kernels/table.h"
#include "quant/all_types.h"

#define LAMINA_JOIN_(a, b, c) a##_##b##_##c
#define LAMINA_JOIN(a, b, c) LAMINA_JOIN_(a, b, c)
#define LAMINA_STRING_(a) #a
#define LAMINA_STRING(a) LAMINA_STRING_(a)
#ifndef LAMINA_MATMUL_ISA
#define LAMINA_MATMUL_ISA LAMINA_ISA
#endif
#ifndef LAMINA_ATTENTION
#define LAMINA_ATTENTION Attention<SimdF32>
#endif

#ifdef LAMINA_UNIT_TYPE

#include "kernels/generic/matmul.inl.h"

namespace lamina::kernels {
void LAMINA_JOIN(Matmul, LAMINA_ISA, LAMINA_UNIT_TYPE)(const MatmulArgs& m) noexcept {
  Matmul<Simd, quant::LAMINA_UNIT_TYPE>(m);
}
}  // namespace lamina::kernels

#else

#include "kernels/generic/attention.inl.h"
#include "kernels/generic/delta_chunk.inl.h"
#include "kernels/generic/vector.inl.h"

namespace lamina::kernels {
#define LAMINA_DECLARE(type) \
  void LAMINA_JOIN(Matmul, LAMINA_MATMUL_ISA, type)(const MatmulArgs& m) noexcept;
LAMINA_QUANT_TYPES(LAMINA_DECLARE)
#undef LAMINA_DECLARE

namespace {
#define LAMINA_ROW(type) &LAMINA_JOIN(Matmul, LAMINA_MATMUL_ISA, type),
constexpr MatmulFn kMatmul[] = {LAMINA_QUANT_TYPES(LAMINA_ROW)};
#undef LAMINA_ROW
}  // namespace

extern const Table LAMINA_JOIN(kTable, LAMINA_ISA, );
const Table LAMINA_JOIN(kTable, LAMINA_ISA, ) = {
    LAMINA_STRING(LAMINA_ISA), kMatmul,        MakeVectorKernels<SimdF32>(),
    &LAMINA_ATTENTION,         &Conv<SimdF32>, &Delta<SimdF32>,
};
}  // namespace lamina::kernels

#endif
