#include "format/bounded_reader.h"

namespace lamina::format {

tl::unexpected<Status> BoundedReader::Truncated(std::string_view field, uint64_t n_bytes) const {
  return Error(Code::kInvalidArgument,
               "{} needs {} bytes at offset {}, but only {} remain; the file is damaged or cut off",
               field, n_bytes, offset_, remaining());
}

Result<Bytes> BoundedReader::Take(uint64_t n_bytes, std::string_view field) {
  if (n_bytes > remaining()) return Truncated(field, n_bytes);
  const Bytes taken = bytes_.subspan(offset_, n_bytes);
  offset_ += n_bytes;
  return taken;
}

Result<std::string_view> BoundedReader::ReadString(uint64_t max_bytes, std::string_view field) {
  const uint64_t n_bytes = TRY(Read<uint64_t>(field));
  if (n_bytes > max_bytes) {
    return Error(Code::kInvalidArgument, "{} at offset {} is {} bytes long; at most {} are allowed",
                 field, offset_, n_bytes, max_bytes);
  }
  const Bytes taken = TRY(Take(n_bytes, field));
  return std::string_view(reinterpret_cast<const char*>(taken.data()), taken.size());
}

Result<uint64_t> BoundedReader::ReadCount(uint64_t min_bytes_each, std::string_view field) {
  const uint64_t count = TRY(Read<uint64_t>(field));
  TRY(CheckCount(count, min_bytes_each, field));
  return count;
}

Result<> BoundedReader::CheckCount(uint64_t count, uint64_t min_bytes_each,
                                   std::string_view field) const {
  if (count > remaining() / min_bytes_each) {
    return Error(Code::kInvalidArgument,
                 "{} is {}, which cannot fit in the {} bytes after offset {}", field, count,
                 remaining(), offset_);
  }
  return {};
}

}  // namespace lamina::format
