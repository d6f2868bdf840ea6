#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/descriptor.h"

namespace lamina {
namespace {

constexpr std::string_view kTemporarySuffix = ".XXXXXX";

struct OpenFile {
  Descriptor fd;
  uint64_t n_bytes;
};

// A FIFO or a device is refused and never waited for.
Result<OpenFile> OpenRegular(const std::string& path) {
  Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return Error(ErrnoStatus(errno, "open", path));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return Error(ErrnoStatus(errno, "read", path));
  if (!S_ISREG(info.st_mode)) {
    return Error(Code::kInvalidArgument, "{} is not a regular file", path);
  }
  return OpenFile{std::move(fd), static_cast<uint64_t>(info.st_size)};
}

Result<> WriteAll(int fd, Bytes bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(ErrnoStatus(errno, "write", path));
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Status ErrnoStatus(int error, std::string_view action, std::string_view path) {
  Code code = Code::kUnknown;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      code = Code::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::kPermissionDenied;
      break;
    case EEXIST:
      code = Code::kAlreadyExists;
      break;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      code = Code::kResourceExhausted;
      break;
    case EISDIR:
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
      code = Code::kInvalidArgument;
      break;
    default:
      break;
  }
  return Status(code, fmt::format("cannot {} {}: {}", action, path, strerror(error)));
}

Result<MappedFile> MappedFile::Open(const std::string& path) {
  const OpenFile source = TRY(OpenRegular(path));
  if (source.n_bytes == 0) return Error(Code::kInvalidArgument, "{} is empty", path);
  void* data = mmap(nullptr, source.n_bytes, PROT_READ, MAP_PRIVATE, source.fd.get(), 0);
  if (data == MAP_FAILED) return Error(ErrnoStatus(errno, "map", path));
  MappedFile file;
  file.data_ = static_cast<const uint8_t*>(data);
  file.n_bytes_ = source.n_bytes;
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), n_bytes_(std::exchange(other.n_bytes_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(n_bytes_, other.n_bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<uint8_t*>(data_), n_bytes_);
}

void MappedFile::WillNeed(uint64_t offset, uint64_t n_bytes) const {
  if (offset >= n_bytes_) return;
  const uint64_t begin = offset / static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) *
                         static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t end = offset + std::min<uint64_t>(n_bytes, n_bytes_ - offset);
  madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_WILLNEED);
}

void MappedFile::DropPages(uint64_t offset, uint64_t n_bytes) const {
  if (offset > n_bytes_ || n_bytes > n_bytes_ - offset) return;
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t begin = (offset + page - 1) / page * page;
  const uint64_t end = (offset + n_bytes) / page * page;
  if (begin < end) madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_DONTNEED);
}

Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  const OpenFile source = TRY(OpenRegular(path));
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t n = read(source.fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(ErrnoStatus(errno, "read", path));
    if (n == 0) return content;
    if (content.size() + static_cast<size_t>(n) > max_bytes) {
      return Error(Code::kResourceExhausted, "{} is larger than {} bytes", path, max_bytes);
    }
    content.append(buffer, static_cast<size_t>(n));
  }
}

Result<AtomicFile> AtomicFile::Create(const std::string& path) {
  std::string temporary = path + std::string(kTemporarySuffix);
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return Error(ErrnoStatus(errno, "create", temporary));
  return AtomicFile(path, std::move(temporary), fd);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Result<> AtomicFile::Write(Bytes bytes) { return WriteAll(fd_, bytes, path_); }

Result<> AtomicFile::Commit() {
  if (fchmod(fd_, 0644) != 0 || fsync(fd_) != 0) return Error(ErrnoStatus(errno, "write", path_));
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return Error(ErrnoStatus(errno, "replace", path_));
  }
  temporary_.clear();
  return SyncFolder(FolderOf(path_));
}

Result<> WriteFileAtomically(const std::string& path, std::string_view content) {
  AtomicFile file = TRY(AtomicFile::Create(path));
  TRY(file.Write({reinterpret_cast<const uint8_t*>(content.data()), content.size()}));
  return file.Commit();
}

void RemoveLeftovers(const std::string& path) {
  const std::string prefix = path.substr(path.rfind('/') + 1) + ".";
  for (const std::string& name : NamesIn(FolderOf(path))) {
    const bool is_leftover = name.starts_with(prefix) &&
                             name.size() == prefix.size() - 1 + kTemporarySuffix.size() &&
                             name.find('.', prefix.size()) == name.npos;
    if (is_leftover) unlink((FolderOf(path) + "/" + name).c_str());
  }
}

Result<> SyncFolder(const std::string& path) {
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || fsync(folder.get()) != 0) return Error(ErrnoStatus(errno, "sync", path));
  return {};
}

std::string FolderOf(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(folder, error);
  const std::filesystem::directory_iterator end;
  for (; !error && it != end; it.increment(error)) names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Result<> MakeFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Error(ErrnoStatus(error.value(), "create", path));
  return {};
}

}  // namespace lamina
