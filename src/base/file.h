// Files: read-only mappings, whole reads, atomic writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

  /// Tells the kernel to begin reading [offset, offset + n_bytes) from the disk.
  void WillNeed(uint64_t offset, uint64_t n_bytes) const;

  /// Tells the kernel that [offset, offset + n_bytes) will not be read again soon: its pages leave
  /// this process's memory, not the page cache.
  void DropPages(uint64_t offset, uint64_t n_bytes) const;

 private:
  const uint8_t* data_ = nullptr;
  size_t n_bytes_ = 0;
};

/// The whole of a small file. Errors: as MappedFile::Open; kResourceExhausted above `max_bytes`.
Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

/// A file that appears whole or not at all: written under a temporary name in the same folder,
/// then synced and renamed over `path` by Commit. Without Commit the temporary file is removed.
class AtomicFile {
 public:
  static Result<AtomicFile> Create(const std::string& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Result<> Write(Bytes bytes);
  /// Syncs the file, renames it over the path, syncs the folder. Once.
  Result<> Commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

  std::string path_;
  std::string temporary_;  ///< Empty after Commit.
  int fd_;
};

/// Writes a temporary file in the same folder, syncs it, renames it over `path`, syncs the folder:
/// at every moment `path` is the old or the new content, whole.
Result<> WriteFileAtomically(const std::string& path, std::string_view content);

/// Removes what killed writers of `path` left beside it: temporary files of AtomicFile. Only where
/// a lock keeps other writers away.
void RemoveLeftovers(const std::string& path);

/// Makes the names in a folder durable: a rename survives a power loss only after this.
Result<> SyncFolder(const std::string& folder);

/// The folder part of a path: "." for a plain name.
std::string FolderOf(const std::string& path);

/// Names in a folder, sorted; those that can be read, none where it does not exist.
std::vector<std::string> NamesIn(const std::string& folder);

/// mkdir -p.
Result<> MakeFolders(const std::string& path);

/// A status for errno after a system call on `path`: "cannot open PATH: No such file or directory".
Status ErrnoStatus(int error, std::string_view action, std::string_view path);

}  // namespace lamina
