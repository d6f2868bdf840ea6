// The vector kernels over the primitives LAMINA_PRIMITIVES as table LAMINA_TABLE, without matrix
// products.
#include LAMINA_PRIMITIVES

#include "kernels/generic/attention.inl.h"
#include "kernels/generic/delta_chunk.inl.h"
#include "kernels/generic/vector.inl.h"

namespace lamina::kernels {
extern const Table LAMINA_TABLE;
const Table LAMINA_TABLE = {LAMINA_PRIMITIVES,   nullptr,        MakeVectorKernels<SimdF32>(),
                            &Attention<SimdF32>, &Conv<SimdF32>, &Delta<SimdF32>};
}  // namespace lamina::kernels
