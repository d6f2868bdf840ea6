// The one way in which this folder reads binary input.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "base/file.h"
#include "base/result.h"

namespace lamina::format {

/// A cursor over untrusted bytes that never passes their end. `field` is what an error names.
/// Every error is kInvalidArgument with the field and the offset at which it was to be read.
class BoundedReader {
 public:
  explicit BoundedReader(Bytes bytes) : bytes_(bytes) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }

  /// A little-endian number.
  template <class T>
  Result<T> Read(std::string_view field) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    if (remaining() < sizeof value) return Truncated(field, sizeof value);
    std::memcpy(&value, bytes_.data() + offset_, sizeof value);
    offset_ += sizeof value;
    return value;
  }

  /// The next n_bytes, not copied.
  Result<Bytes> Take(uint64_t n_bytes, std::string_view field);

  /// A string with a 64-bit length before it, not copied.
  Result<std::string_view> ReadString(uint64_t max_bytes, std::string_view field);

  /// A 64-bit count of things of at least `min_bytes_each` (not 0) that still have to come: one
  /// that cannot fit in what remains is an error, so memory for a returned count may be reserved.
  Result<uint64_t> ReadCount(uint64_t min_bytes_each, std::string_view field);

  /// The same for a count that was read before.
  Result<> CheckCount(uint64_t count, uint64_t min_bytes_each, std::string_view field) const;

 private:
  tl::unexpected<Status> Truncated(std::string_view field, uint64_t n_bytes) const;

  Bytes bytes_;
  uint64_t offset_ = 0;
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

}  // namespace lamina::format
