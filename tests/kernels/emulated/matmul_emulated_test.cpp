// Matrix products of a CPU that this one is not, against the scalar ones. LAMINA_EMULATED_ISA names
// the units that are linked in.
#include <gtest/gtest.h>

#include "matmul_cases.h"
#include "quant/all_types.h"

#define LAMINA_JOIN_(a, b, c) a##_##b##_##c
#define LAMINA_JOIN(a, b, c) LAMINA_JOIN_(a, b, c)

namespace lamina::kernels {

#define LAMINA_DECLARE(type)                                                       \
  void LAMINA_JOIN(Matmul, LAMINA_EMULATED_ISA, type)(const MatmulArgs&) noexcept; \
  void Matmul_scalar_##type(const MatmulArgs&) noexcept;
LAMINA_QUANT_TYPES(LAMINA_DECLARE)
#undef LAMINA_DECLARE

namespace {

#define LAMINA_EMULATED(type) &LAMINA_JOIN(Matmul, LAMINA_EMULATED_ISA, type),
#define LAMINA_SCALAR(type) &Matmul_scalar_##type,
constexpr MatmulFn kEmulated[] = {LAMINA_QUANT_TYPES(LAMINA_EMULATED)};
constexpr MatmulFn kScalar[] = {LAMINA_QUANT_TYPES(LAMINA_SCALAR)};

TEST(EmulatedMatmul, EqualsScalar) {
  Table emulated = {}, scalar = {};
  emulated.isa = "emulated";
  emulated.matmul = kEmulated;
  scalar.isa = "scalar";
  scalar.matmul = kScalar;
  for (const quant::TypeInfo& type : quant::Types()) {
    for (int64_t n_cols : {96, 768}) {
      if (n_cols % type.block_values != 0) continue;
      ExpectEqualTables(emulated, scalar, type, 100, n_cols, {1, 2, 3, 4, 5, 7, 16},
                        Fill::kModerate, false);
      if (HasFatalFailure()) return;
    }
    for (Fill fill : {Fill::kOnes, Fill::kAny}) {
      ExpectEqualTables(emulated, scalar, type, 48, 256, {1, 4, 9}, fill, true);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace lamina::kernels
