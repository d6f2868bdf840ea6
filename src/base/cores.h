// How much of the machine this process may use.
#pragma once

#include <optional>
#include <string>

namespace lamina {

/// CPUs' worth of time that the cgroups of this process grant it (0.5 = half of one), nothing where
/// none sets a quota: the least of its own and its ancestors', version 2 (cpu.max) and version 1
/// (cpu.cfs_quota_us). `root`: where proc/ and sys/ are looked for, "" for the machine's own.
/// Source: Documentation/admin-guide/cgroup-v2.rst of Linux, cgroup-v1 and scheduler/sched-bwc.rst.
std::optional<double> CgroupCpus(const std::string& root = "");

/// Physical cores within the calling thread's affinity mask, at least 1: two hyperthreads share one
/// core's arithmetic.
int PhysicalCores(const std::string& root = "");

/// As many as PhysicalCores and CgroupCpus (rounded) allow, at least 1.
int UsableCores(const std::string& root = "");

}  // namespace lamina
