// Which table this process uses.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "kernels/table.h"

namespace lamina::kernels {

/// The tables that this CPU can run, best first; scalar is always the last.
std::span<const Table* const> Available();

/// The table named by `isa`; "" means the environment's LAMINA_ISA, else the best.
/// Errors: kInvalidArgument names those available.
Result<const Table*> Select(std::string_view isa);

/// Bytes of scratch that a matmul of n_cols inputs needs per thread (a multiple of 64).
int64_t ScratchBytes(int64_t n_cols);

}  // namespace lamina::kernels
