// Reading members out of a zip file (a Python wheel).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/function_ref.h"
#include "base/result.h"

struct zip;

namespace lamina::store {

/// One member, as the archive's directory says.
struct ZipMember {
  std::string name;
  uint64_t index;
  uint64_t bytes;
};

/// A zip file, read through libzip, which checks every member's CRC-32. One thread.
class ZipArchive {
 public:
  /// Errors: kDataLoss: not a zip file, damaged, or of more than 10,000 members.
  static Result<ZipArchive> Open(const std::string& path);

  const std::vector<ZipMember>& members() const { return members_; }

  /// Gives a member's bytes to `write`, a piece at a time, exactly as many as its directory entry
  /// says. Errors: those of `write`, which end it; kDataLoss.
  Result<> Read(const ZipMember& member, FunctionRef<Result<>(Bytes)> write) const;

  /// A small member as text. Errors: kResourceExhausted above `max_bytes`.
  Result<std::string> ReadText(const ZipMember& member, uint64_t max_bytes) const;

 private:
  struct Closer {
    void operator()(zip* archive) const;
  };
  std::string path_;
  std::unique_ptr<zip, Closer> archive_;
  std::vector<ZipMember> members_;
};

}  // namespace lamina::store
