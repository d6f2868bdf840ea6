// What this machine is and can do, measured.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"

namespace lamina::cli {

struct Machine {
  std::string cpu;                  ///< As /proc/cpuinfo says.
  int n_cores = 0;                  ///< DefaultThreadCount().
  int n_cpus = 0;                   ///< Logical CPUs in the affinity mask.
  uint64_t memory_bytes = 0;        ///< Of the machine.
  uint64_t available_bytes = 0;     ///< Without swapping, now; the cgroup's rest if that is less.
  uint64_t cgroup_limit_bytes = 0;  ///< 0 = none.
};

Machine DescribeMachine();

/// What --threads takes at most. Threads beyond the processors only wait for each other: a thousand
/// of them on two take minutes for what two do in a second. Some are allowed, to see that results
/// do not depend on them.
int MostThreads();

/// Bytes of memory that this process accounts for: shared pages by their share (PSS), so that a
/// mapped file counts once.
uint64_t ProportionalSetBytes();

/// Memory that all threads of a pool read together in GB/s: the best of several passes over
/// buffers of at least 256 MiB that no cache holds. Frees them before it returns.
/// Errors: kResourceExhausted.
Result<double> MeasureReadBandwidth(ThreadPool& pool);

}  // namespace lamina::cli
