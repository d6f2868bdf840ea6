// Which table this process uses.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernels/cpu.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

namespace lamina::kernels {

/// The tables of this build that such a CPU can run, best first.
std::vector<const Table*> TablesFor(const Cpu& cpu);

/// The tables that this CPU can run, best first; scalar is always the last.
std::span<const Table* const> Available();

/// The table named by `isa`; "" means the environment's LAMINA_ISA, else the best.
/// Errors: kInvalidArgument names those available.
Result<const Table*> Select(std::string_view isa);

}  // namespace lamina::kernels
