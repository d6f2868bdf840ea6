#include "store/lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/file.h"

namespace lamina::store {

Result<FileLock> FileLock::Acquire(const std::string& path, FunctionRef<bool()> while_waiting) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) return Error(ErrnoStatus(errno, "create", path));
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return Error(ErrnoStatus(errno, "lock", path));
    if (!while_waiting()) return Error(Code::kCancelled, "cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return FileLock(std::move(file));
}

}  // namespace lamina::store
