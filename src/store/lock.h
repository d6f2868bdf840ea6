// Locks between processes: one file each, freed by the kernel when its holder ends, however it
// ends.
#pragma once

#include <string>

#include "base/descriptor.h"
#include "base/function_ref.h"
#include "base/result.h"

namespace lamina::store {

/// Holds an exclusive flock on a file until it is destroyed.
class FileLock {
 public:
  /// Waits; `while_waiting` is called about five times a second, false ends with kCancelled.
  static Result<FileLock> Acquire(const std::string& path, FunctionRef<bool()> while_waiting);

 private:
  explicit FileLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace lamina::store
