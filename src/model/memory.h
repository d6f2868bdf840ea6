// What the machine and its control groups still have.
#pragma once

#include <cstdint>
#include <string>

namespace lamina::model {

/// Bytes that this process may still use: the least of MemAvailable and, for each memory control
/// group that it is in, limit - use (file pages that can be dropped are not use). `limited_by` says
/// which: "machine" or "control group".
struct AvailableMemory {
  uint64_t bytes;
  std::string limited_by;
};
AvailableMemory ReadAvailableMemory();

}  // namespace lamina::model
