// The tables that a test of the vector kernels goes through, scalar last.
#pragma once

#include <vector>

#ifdef LAMINA_EMULATED
#include "kernels/table.h"
#else
#include "kernels/dispatch.h"
#endif

namespace lamina::kernels {

#ifdef LAMINA_EMULATED
// Vector kernels only, of a CPU that this one is not, and the scalar ones beside them.
extern const Table kEmulated;
extern const Table kReference;
inline std::vector<const Table*> Tables() { return {&kEmulated, &kReference}; }
#else
inline std::vector<const Table*> Tables() { return {Available().begin(), Available().end()}; }
#endif

}  // namespace lamina::kernels
