// Files: read-only mappings, whole reads, atomic writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lamina {

using Bytes = std::span<const uint8_t>;

/// A whole file mapped read-only and private. Moves, does not copy. The bytes are untrusted, and
/// a file that another program truncates later raises SIGBUS on access: the worker's watchdog
/// covers that, not this class.
class MappedFile {
 public:
  /// Errors: kNotFound, kPermissionDenied, kInvalidArgument (a folder, an empty file).
  static Result<MappedFile> Open(const std::string& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  Bytes bytes() const { return {data_, n_bytes_}; }

  /// Tells the kernel that [offset, offset + n_bytes) will not be read again soon: its pages leave
  /// this process's memory, not the page cache.
  void DropPages(uint64_t offset, uint64_t n_bytes) const;

 private:
  const uint8_t* data_ = nullptr;
  size_t n_bytes_ = 0;
};

/// The whole of a small file. Errors: as MappedFile::Open; kResourceExhausted above `max_bytes`.
Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

/// Writes a temporary file in the same folder, syncs it, renames it over `path`, syncs the folder:
/// at every moment `path` is the old or the new content, whole.
Result<> WriteFileAtomically(const std::string& path, std::string_view content);

/// mkdir -p.
Result<> MakeFolders(const std::string& path);

/// A status for errno after a system call on `path`: "cannot open PATH: No such file or directory".
Status ErrnoStatus(int error, std::string_view action, std::string_view path);

}  // namespace lamina
