// The vector kernels over the primitives LAMINA_PRIMITIVES as table LAMINA_TABLE, without matrix
// products. With LAMINA_ROUNDED they include products of bf16 for attention.
#include LAMINA_PRIMITIVES

#include "kernels/generic/attention_bf16.inl.h"
#include "kernels/generic/delta_chunk.inl.h"
#include "kernels/generic/vector.inl.h"

#ifdef LAMINA_ROUNDED
#define LAMINA_ATTENTION RoundedAttention<SimdBf16>
#else
#define LAMINA_ATTENTION Attention<SimdF32>
#endif

namespace lamina::kernels {
extern const Table LAMINA_TABLE;
const Table LAMINA_TABLE = {LAMINA_PRIMITIVES, nullptr,        MakeVectorKernels<SimdF32>(),
                            &LAMINA_ATTENTION, &Conv<SimdF32>, &Delta<SimdF32>};
}  // namespace lamina::kernels
