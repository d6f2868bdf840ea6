// Plain C++: the reference that every other CPU's kernels must equal, and what runs where none of
// them does.
#include "kernels/isa/scalar_f32.h"
#include "quant/simd_scalar.h"

namespace lamina::kernels {
namespace {
using Simd = ScalarSimd;
}  // namespace
}  // namespace lamina::kernels

#include "kernels/generic/table.inl.h"
