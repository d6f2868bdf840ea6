// ARMv8.2 with dot products (Cortex-A76, Apple M1 and later).
#include "kernels/isa/neon_128.h"
#include "kernels/isa/neon_f32.h"

namespace lamina::kernels {
namespace {
using Simd = SimdNeon;
}  // namespace
}  // namespace lamina::kernels

#include "kernels/generic/table.inl.h"
