#include "cli/machine.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <limits>

namespace lamina::cli {
namespace {

constexpr uint64_t kProbeBytes = 256 << 20;
constexpr int kMostPasses = 12;
constexpr double kProbeSeconds = 0.6;

// The number after `key` of a "key: number unit" file, times 1024 where the unit is kB.
uint64_t FieldBytes(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string name, unit;
  uint64_t value = 0;
  while (file >> name) {
    if (name == key + ":" && file >> value) return value * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

// A number in a file of its own; 0 where there is none, or "max".
uint64_t NumberIn(const char* path) {
  uint64_t value = 0;
  std::ifstream(path) >> value;
  return value;
}

std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

// Sixteen bytes at a time into independent sums: more loads in flight than memory can serve.
using Lane = uint64_t __attribute__((vector_size(16)));
uint64_t Sum(const Lane* data, int64_t n) {
  Lane sums[8] = {};
  for (int64_t i = 0; i + 8 <= n; i += 8) {
    for (int j = 0; j < 8; ++j) sums[j] ^= data[i + j];
  }
  uint64_t sum = 0;
  for (const Lane& lane : sums) sum ^= lane[0] ^ lane[1];
  return sum;
}

}  // namespace

Machine DescribeMachine() {
  Machine machine;
  machine.cpu = CpuName();
  machine.n_cores = DefaultThreadCount();
  cpu_set_t affinity;
  if (sched_getaffinity(0, sizeof affinity, &affinity) == 0) {
    machine.n_cpus = CPU_COUNT(&affinity);
  }
  machine.memory_bytes = FieldBytes("/proc/meminfo", "MemTotal");
  machine.available_bytes = FieldBytes("/proc/meminfo", "MemAvailable");
  machine.cgroup_limit_bytes = NumberIn("/sys/fs/cgroup/memory.max");
  if (machine.cgroup_limit_bytes > 0) {
    const uint64_t used = NumberIn("/sys/fs/cgroup/memory.current");
    const uint64_t rest = machine.cgroup_limit_bytes > used ? machine.cgroup_limit_bytes - used : 0;
    machine.available_bytes = std::min(machine.available_bytes, rest);
  }
  return machine;
}

int MostThreads() { return std::max(64, 4 * DescribeMachine().n_cpus); }

uint64_t ProportionalSetBytes() { return FieldBytes("/proc/self/smaps_rollup", "Pss"); }

Result<double> MeasureReadBandwidth(ThreadPool& pool) {
  void* memory =
      mmap(nullptr, kProbeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Error(Code::kResourceExhausted, "no memory for measuring bandwidth ({} bytes)",
                 kProbeBytes);
  }
  madvise(memory, kProbeBytes, MADV_HUGEPAGE);
  auto* data = static_cast<Lane*>(memory);
  constexpr auto kLanes = static_cast<int64_t>(kProbeBytes / sizeof(Lane));
  // Untouched pages all read the one page of zeros; each thread touches what it will read.
  pool.Run([&](int thread) {
    const Range range = SplitRange(kLanes, thread, pool.n_threads(), 4096);
    for (int64_t i = range.begin; i < range.end; ++i) data[i] = Lane{static_cast<uint64_t>(i), 1};
  });
  using Clock = std::chrono::steady_clock;
  std::atomic<uint64_t> sum{0};
  double best = 0, total = 0;
  for (int pass = 0; pass < kMostPasses && total < kProbeSeconds; ++pass) {
    const auto start = Clock::now();
    pool.Run([&](int thread) {
      const Range range = SplitRange(kLanes, thread, pool.n_threads(), 4096);
      sum ^= Sum(data + range.begin, range.end - range.begin);
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    total += seconds;
    best = std::max(best, static_cast<double>(kProbeBytes) / seconds / 1e9);
  }
  munmap(memory, kProbeBytes);
  return best;
}

}  // namespace lamina::cli
