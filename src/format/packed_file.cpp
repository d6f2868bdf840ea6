#include "format/packed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <utility>

#include "base/checked.h"
#include "base/checksum.h"
#include "format/bounded_reader.h"

namespace lamina::format {
namespace {

constexpr std::string_view kMagic = "LAMINAPK";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kFixedBytes = 64, kPieceBytes = 16, kChecksumOffset = 48;
constexpr uint64_t kPieceAlignment = 64, kPageBytes = 4096;
constexpr uint64_t kMostHeaderBytes = uint64_t{64} << 20;
constexpr uint32_t kMostTextBytes = 16384;

template <class... Args>
tl::unexpected<Status> Damaged(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Code::kDataLoss, "packed weights: {}",
               fmt::format(format, std::forward<Args>(args)...));
}

Result<std::string> ReadStart(int fd, uint64_t n_bytes) {
  std::string out(n_bytes, '\0');
  for (uint64_t done = 0; done < n_bytes;) {
    const ssize_t n = pread(fd, out.data() + done, n_bytes - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(ErrnoStatus(errno, "read", "packed weights"));
    if (n == 0) return Damaged("the file ends in its header");
    done += static_cast<uint64_t>(n);
  }
  return out;
}

uint64_t HeaderChecksum(std::string header) {
  std::fill_n(header.begin() + kChecksumOffset, sizeof(uint64_t), '\0');
  return Checksum({reinterpret_cast<const uint8_t*>(header.data()), header.size()});
}

template <class T>
void Append(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string HeaderBytes(const PackedHeader& header) {
  std::string out(kMagic);
  Append(&out, kVersion);
  Append(&out, static_cast<uint32_t>(header.pieces.size()));
  Append(&out, static_cast<uint32_t>(header.key.size()));
  Append(&out, static_cast<uint32_t>(header.model_path.size()));
  Append(&out, header.data_offset);
  Append(&out, header.data_bytes);
  Append(&out, header.written_unix_s);
  Append(&out, uint64_t{0});
  Append(&out, uint64_t{0});
  for (const PackedPiece& piece : header.pieces) {
    Append(&out, piece.n_bytes);
    Append(&out, piece.checksum);
  }
  out += header.key;
  out += header.model_path;
  out.resize(header.data_offset);
  const uint64_t checksum = HeaderChecksum(out);
  std::copy_n(reinterpret_cast<const char*>(&checksum), sizeof checksum,
              out.begin() + kChecksumOffset);
  return out;
}

uint64_t HeaderBytesFor(const PackedHeader& header) {
  const uint64_t n_bytes = kFixedBytes + header.pieces.size() * kPieceBytes + header.key.size() +
                           header.model_path.size();
  return (n_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

bool HasWritersTime(const struct stat& info, const PackedHeader& header) {
  return info.st_mtim.tv_sec == header.written_unix_s && info.st_mtim.tv_nsec == 0;
}

Result<> SetWritersTime(int fd, const PackedHeader& header) {
  const timespec times[2] = {{0, UTIME_NOW}, {header.written_unix_s, 0}};
  if (futimens(fd, times) != 0) return Error(ErrnoStatus(errno, "stamp", "packed weights"));
  return {};
}

Result<Mapping> Map(int fd, uint64_t n_bytes, int protection) {
  void* data = mmap(nullptr, n_bytes, protection, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return Error(ErrnoStatus(errno, "map", "packed weights"));
  madvise(data, n_bytes, MADV_HUGEPAGE);  // Best effort, and larger reads from the disk.
  return Mapping(static_cast<uint8_t*>(data), n_bytes);
}

// What the numbers of the fixed part promise, in a file of n_file_bytes.
Result<> CheckSizes(const PackedHeader& header, uint64_t n_pieces, uint64_t n_text_bytes,
                    uint64_t n_file_bytes) {
  const uint64_t n_needed = kFixedBytes + n_pieces * kPieceBytes + n_text_bytes;
  if (header.data_offset % kPageBytes != 0 || header.data_offset < n_needed) {
    return Damaged("data_offset is {}, but {} bytes come before the data", header.data_offset,
                   n_needed);
  }
  if (header.data_offset > kMostHeaderBytes) {
    return Damaged("data_offset is {}, at most {}", header.data_offset, kMostHeaderBytes);
  }
  const auto end = CheckedAdd(header.data_offset, header.data_bytes);
  if (!end || *end != n_file_bytes) {
    return Damaged("the file has {} bytes, but its header promises {} at {}", n_file_bytes,
                   header.data_bytes, header.data_offset);
  }
  return {};
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), n_bytes_(std::exchange(other.n_bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(n_bytes_, other.n_bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, n_bytes_);
}

Result<PackedHeader> ReadPackedHeader(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) return Error(ErrnoStatus(errno, "read", "packed weights"));
  const auto n_file_bytes = static_cast<uint64_t>(info.st_size);
  if (!S_ISREG(info.st_mode) || n_file_bytes < kFixedBytes) {
    return Damaged("{} bytes are no file of them", n_file_bytes);
  }
  const std::string fixed = TRY(ReadStart(fd, kFixedBytes));
  if (!fixed.starts_with(kMagic)) return Damaged("the magic is not {}", kMagic);
  BoundedReader reader({reinterpret_cast<const uint8_t*>(fixed.data()), fixed.size()});
  TRY(reader.Take(kMagic.size(), "magic"));
  const auto version = TRY(reader.Read<uint32_t>("version"));
  if (version != kVersion) return Damaged("version {} is not {}", version, kVersion);
  PackedHeader header;
  const auto n_pieces = TRY(reader.Read<uint32_t>("n_pieces"));
  const auto n_key_bytes = TRY(reader.Read<uint32_t>("key bytes"));
  const auto n_path_bytes = TRY(reader.Read<uint32_t>("path bytes"));
  header.data_offset = TRY(reader.Read<uint64_t>("data_offset"));
  header.data_bytes = TRY(reader.Read<uint64_t>("data_bytes"));
  header.written_unix_s = TRY(reader.Read<int64_t>("time"));
  const auto checksum = TRY(reader.Read<uint64_t>("checksum"));
  if (n_key_bytes > kMostTextBytes || n_path_bytes > kMostTextBytes) {
    return Damaged("texts of {} and {} bytes are too long", n_key_bytes, n_path_bytes);
  }
  TRY(CheckSizes(header, n_pieces, uint64_t{n_key_bytes} + n_path_bytes, n_file_bytes));

  const std::string all = TRY(ReadStart(fd, header.data_offset));
  if (HeaderChecksum(all) != checksum) return Damaged("the header's checksum is wrong");
  const char* at = all.data() + kFixedBytes;
  uint64_t n_data_bytes = 0;
  header.pieces.resize(n_pieces);
  for (PackedPiece& piece : header.pieces) {
    std::copy_n(at, sizeof(uint64_t), reinterpret_cast<char*>(&piece.n_bytes));
    std::copy_n(at + 8, sizeof(uint64_t), reinterpret_cast<char*>(&piece.checksum));
    at += kPieceBytes;
    if (piece.n_bytes % kPieceAlignment != 0 || piece.n_bytes > header.data_bytes - n_data_bytes) {
      return Damaged("a piece of {} bytes at {} of {}", piece.n_bytes, n_data_bytes,
                     header.data_bytes);
    }
    n_data_bytes += piece.n_bytes;
  }
  if (n_data_bytes != header.data_bytes) {
    return Damaged("the pieces have {} bytes, not {}", n_data_bytes, header.data_bytes);
  }
  header.key.assign(at, n_key_bytes);
  header.model_path.assign(at + n_key_bytes, n_path_bytes);
  return header;
}

Result<PackedFile> PackedFile::Open(const Descriptor& descriptor) {
  struct stat info;
  if (fstat(descriptor.get(), &info) != 0) {
    return Error(ErrnoStatus(errno, "read", "packed weights"));
  }
  PackedFile file;
  file.header_ = TRY(ReadPackedHeader(descriptor.get()));
  const uint64_t n_bytes = file.header_.data_offset + file.header_.data_bytes;
  file.mapping_ = TRY(Map(descriptor.get(), n_bytes, PROT_READ));
  if (!HasWritersTime(info, file.header_)) {
    TRY(file.VerifyData());
    // On a disk that cannot be written, each start verifies.
    (void)SetWritersTime(descriptor.get(), file.header_);
  }
  return file;
}

Result<> PackedFile::VerifyData() const {
  const uint8_t* at = data();
  for (size_t i = 0; i < header_.pieces.size(); ++i) {
    const PackedPiece& piece = header_.pieces[i];
    if (Checksum({at, piece.n_bytes}) != piece.checksum) {
      return Damaged("the checksum of piece {} of {} is wrong", i, header_.pieces.size());
    }
    at += piece.n_bytes;
  }
  return {};
}

Result<PackedWriter> PackedWriter::Create(const Descriptor& descriptor, std::string key,
                                          std::string model_path, std::vector<PackedPiece> pieces) {
  PackedFile file;
  PackedHeader& header = file.header_;
  header.key = std::move(key);
  header.model_path = std::move(model_path);
  header.pieces = std::move(pieces);
  for (const PackedPiece& piece : header.pieces) header.data_bytes += piece.n_bytes;
  header.data_offset = HeaderBytesFor(header);
  if (header.data_offset > kMostHeaderBytes || header.key.size() > kMostTextBytes ||
      header.model_path.size() > kMostTextBytes) {
    return Error(Code::kInvalidArgument, "packed weights: a header of {} bytes is too large",
                 header.data_offset);
  }
  const uint64_t n_bytes = header.data_offset + header.data_bytes;
  const int failed = posix_fallocate(descriptor.get(), 0, static_cast<off_t>(n_bytes));
  if (failed != 0) return Error(ErrnoStatus(failed, "reserve space for", "packed weights"));
  file.mapping_ = TRY(Map(descriptor.get(), n_bytes, PROT_READ | PROT_WRITE));
  return PackedWriter(std::move(file), descriptor.get());
}

void PackedWriter::Flush(uint64_t begin, uint64_t end) const {
  sync_file_range(fd_, static_cast<off_t>(file_.header_.data_offset + begin),
                  static_cast<off_t>(end - begin), SYNC_FILE_RANGE_WRITE);
}

Result<> PackedWriter::WriteHeader() const {
  const std::string bytes = HeaderBytes(file_.header_);
  for (uint64_t done = 0; done < bytes.size();) {
    const ssize_t n =
        pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(ErrnoStatus(errno, "write", "packed weights"));
    done += static_cast<uint64_t>(n);
  }
  return {};
}

Result<PackedFile> PackedWriter::Seal(ThreadPool& pool) && {
  PackedHeader& header = file_.header_;
  // From here on nothing changes the data, and so nothing its time.
  if (mprotect(file_.mapping_.data(), file_.mapping_.n_bytes(), PROT_READ) != 0) {
    return Error(ErrnoStatus(errno, "protect", "packed weights"));
  }
  std::vector<uint64_t> offsets(header.pieces.size());
  for (size_t i = 1; i < offsets.size(); ++i) {
    offsets[i] = offsets[i - 1] + header.pieces[i - 1].n_bytes;
  }
  std::atomic<size_t> next{0};
  pool.Run([&](int) {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < offsets.size();) {
      header.pieces[i].checksum = Checksum({data() + offsets[i], header.pieces[i].n_bytes});
    }
  });
  // Even, because some file systems count in steps of two seconds.
  header.written_unix_s = std::time(nullptr) / 2 * 2;
  TRY(WriteHeader());
  TRY(SetWritersTime(fd_, header));
  if (fsync(fd_) != 0) return Error(ErrnoStatus(errno, "write", "packed weights"));
  return std::move(file_);
}

}  // namespace lamina::format
