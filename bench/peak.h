// What this machine can do at most: the denominators of the benchmarks.
#pragma once

#include <string_view>

namespace lamina::bench {

/// Products of bytes per second of one thread, in units of 1e9, with the instruction that `isa`'s
/// kernels use (vpmaddubsw with 16-bit sums, vpdpbusd, sdot), all operands in registers. 0 where it
/// has none. CPU time, so that other processes disturb it less.
double PeakGmacPerS(std::string_view isa);

/// Fused multiply-adds of floats per second of one thread, in units of 1e9, in `isa`'s registers.
/// 0 where it has none.
double PeakFmaGmacPerS(std::string_view isa);

/// Bytes read and written per second, in units of 1e9, of one thread that copies a row of 16 KiB in
/// its first-level cache with `isa`'s registers.
double CopyGbPerS(std::string_view isa);

/// Bytes per second, in units of 1e9, that `n_threads` read together from memory (wall time, best
/// of three passes over 256 MiB).
double ReadGbPerS(int n_threads);

/// CPU seconds of the calling thread.
double ThreadSeconds();

}  // namespace lamina::bench
