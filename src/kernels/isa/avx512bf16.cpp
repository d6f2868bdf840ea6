// AVX-512 VNNI with BF16 (Zen 4, Sapphire Rapids and later): prefill attention multiplies pairs of
// bf16; everything else is avx512vnni's.
#include "kernels/generic/attention_bf16.inl.h"
#include "kernels/isa/avx512_bf16.h"

#define LAMINA_MATMUL_ISA avx512vnni
#define LAMINA_ATTENTION RoundedAttention<SimdBf16>
#include "kernels/generic/table.inl.h"
