#include "base/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "base/thread_pool.h"

namespace lamina {
namespace {

// "max 100000" or "150000 100000".
std::optional<double> QuotaV2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::optional<double> QuotaV1(const std::string& folder) {
  double quota = 0, period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  if (quota <= 0 || period <= 0) return std::nullopt;  // -1: none.
  return quota / period;
}

// The least quota of mount/path, its parent, ... and mount itself. A container may see a path of
// its host that does not exist under its own mount; then the mount's quota alone counts.
template <class Quota>
void Narrow(Quota quota, const std::string& mount, std::string path, std::optional<double>* least) {
  for (;;) {
    const std::optional<double> cpus = quota(mount + path);
    if (cpus && (!*least || *cpus < **least)) *least = cpus;
    if (path.empty() || path == "/") return;
    path.erase(path.rfind('/'));
  }
}

bool HasController(const std::string& controllers, const std::string& name) {
  return ("," + controllers + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace

std::optional<double> CgroupCpus(const std::string& root) {
  const std::string mounts = root + "/sys/fs/cgroup";
  std::optional<double> least;
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {  // hierarchy:controllers:path
    std::istringstream fields(line);
    std::string hierarchy, controllers, path;
    std::getline(fields, hierarchy, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (path.empty() || path[0] != '/') continue;
    if (controllers.empty()) {
      Narrow(QuotaV2, mounts, path, &least);
      Narrow(QuotaV2, mounts + "/unified", path, &least);
    } else if (HasController(controllers, "cpu")) {
      Narrow(QuotaV1, mounts + "/" + controllers, path, &least);
      Narrow(QuotaV1, mounts + "/cpu", path, &least);
    }
  }
  return least;
}

int PhysicalCores(const std::string& root) {
  cpu_set_t affinity;
  if (sched_getaffinity(0, sizeof affinity, &affinity) != 0) return 1;
  std::set<std::pair<int, int>> cores;  // (package, core)
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &affinity)) continue;
    const std::string topology =
        root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    int package = 0, core = cpu;
    std::ifstream(topology + "physical_package_id") >> package;
    if (!(std::ifstream(topology + "core_id") >> core)) core = cpu;
    cores.emplace(package, core);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

int UsableCores(const std::string& root) {
  const int n_cores = PhysicalCores(root);
  const std::optional<double> quota = CgroupCpus(root);
  if (!quota || *quota >= n_cores) return n_cores;
  return std::max(1, static_cast<int>(std::lround(*quota)));
}

int DefaultThreadCount() { return UsableCores(); }

}  // namespace lamina
