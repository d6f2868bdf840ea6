#include "model/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>

namespace lamina::model {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

// The number in a file of one number; nothing where it is absent or "max".
std::optional<uint64_t> ReadNumber(const std::string& path) {
  std::ifstream file(path);
  uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

// The number after `key` in a file of "key number" lines.
std::optional<uint64_t> ReadField(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word, rest;
  uint64_t number = 0;
  while (file >> word) {
    if (word == key && file >> number) return number;
    std::getline(file, rest);
  }
  return std::nullopt;
}

// What one control group leaves, `folder` being its folder and the names those of its version.
uint64_t GroupLeft(const std::string& folder, const char* limit_name, const char* use_name,
                   const char* droppable_name) {
  const auto limit = ReadNumber(folder + limit_name);
  const auto use = ReadNumber(folder + use_name);
  if (!limit || !use) return kUnlimited;
  const uint64_t droppable = ReadField(folder + "/memory.stat", droppable_name).value_or(0);
  const uint64_t held = *use - std::min(*use, droppable);
  return *limit - std::min(*limit, held);
}

// The least that the groups of this process leave, from its own up to the root.
uint64_t GroupsLeft() {
  uint64_t left = kUnlimited;
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_v2 = controllers.empty();
    if (!is_v2 && controllers.find("memory") == std::string::npos) continue;
    const std::string root = is_v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (std::string path = line.substr(second + 1);; path.erase(path.rfind('/'))) {
      const std::string folder = path == "/" ? root : root + path;
      left = std::min(left,
                      is_v2 ? GroupLeft(folder, "/memory.max", "/memory.current", "inactive_file")
                            : GroupLeft(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                        "total_inactive_file"));
      if (path.empty() || path.rfind('/') == std::string::npos) break;
    }
  }
  return left;
}

}  // namespace

AvailableMemory ReadAvailableMemory() {
  const uint64_t machine_kib =
      ReadField("/proc/meminfo", "MemAvailable:").value_or(kUnlimited / 1024);
  const uint64_t groups = GroupsLeft();
  if (groups < machine_kib * 1024) return {groups, "control group"};
  return {machine_kib * 1024, "machine"};
}

}  // namespace lamina::model
