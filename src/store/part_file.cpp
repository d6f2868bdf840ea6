#include "store/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "format/json.h"

namespace lamina::store {
namespace {

std::string StatePath(const std::string& path) { return path + ".json"; }

std::optional<uint64_t> ToNumber(std::string_view text) {
  uint64_t number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Status DiskFull(const std::string& path, std::optional<uint64_t> n_needed) {
  const std::string needed = n_needed ? fmt::format(": {} more bytes are needed", *n_needed) : "";
  return Status(Code::kResourceExhausted,
                fmt::format("the disk of {} is full{}; free some, or set XDG_DATA_HOME to a larger "
                            "disk",
                            path, needed));
}

std::optional<ContentRange> ParseContentRange(std::string_view value) {
  if (!value.starts_with("bytes ")) return std::nullopt;
  value.remove_prefix(6);
  const size_t dash = value.find('-');
  const size_t slash = value.find('/');
  if (dash == value.npos || slash == value.npos || dash > slash) return std::nullopt;
  const auto first = ToNumber(value.substr(0, dash));
  const auto last = ToNumber(value.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *first > *last) return std::nullopt;
  return ContentRange{*first, *last, ToNumber(value.substr(slash + 1))};
}

Result<PartFile> PartFile::Open(const std::string& path, const std::string& url) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (file.get() < 0) return Error(ErrnoStatus(errno, "create", path));
  PartFile part(path, url, std::move(file));
  const auto state = format::ReadJsonFile(StatePath(path), format::kMaxConfigBytes);
  struct stat info;
  const bool is_known = state && state->is_object() && fstat(part.file_.get(), &info) == 0;
  if (is_known && state->value("url", nlohmann::json()) == url) {
    const auto etag = state->value("etag", nlohmann::json());
    const auto total = state->value("total", nlohmann::json());
    if (etag.is_string() && total.is_number_unsigned() &&
        static_cast<uint64_t>(info.st_size) <= total.get<uint64_t>()) {
      part.etag_ = etag.get<std::string>();
      part.total_bytes_ = total.get<uint64_t>();
      part.n_bytes_ = static_cast<uint64_t>(info.st_size);
      if (lseek(part.file_.get(), 0, SEEK_END) < 0) return Error(ErrnoStatus(errno, "read", path));
      return part;
    }
  }
  TRY(part.Reset());
  return part;
}

void PartFile::Discard(const std::string& path) {
  RemoveLeftovers(StatePath(path));
  unlink(StatePath(path).c_str());
  unlink(path.c_str());
}

Result<> PartFile::Reset() {
  // Forgotten before the old bytes go, so that no kill leaves new bytes under an old etag.
  if (unlink(StatePath(path_).c_str()) != 0 && errno != ENOENT) {
    return Error(ErrnoStatus(errno, "remove", StatePath(path_)));
  }
  if (ftruncate(file_.get(), 0) != 0 || lseek(file_.get(), 0, SEEK_SET) < 0) {
    return Error(ErrnoStatus(errno, "write", path_));
  }
  n_bytes_ = 0;
  etag_.clear();
  total_bytes_.reset();
  max_bytes_.reset();
  return {};
}

Result<> PartFile::Remember() const {
  const nlohmann::json state = {{"url", url_}, {"etag", etag_}, {"total", *total_bytes_}};
  try {
    return WriteFileAtomically(StatePath(path_), state.dump());
  } catch (const nlohmann::json::exception&) {
    return {};  // An etag that is not UTF-8: the download only cannot be gone on with.
  }
}

Result<> PartFile::StartOver(std::string etag, std::optional<uint64_t> total_bytes,
                             std::optional<uint64_t> expected_bytes) {
  TRY(Reset());
  if (total_bytes && expected_bytes && *total_bytes != *expected_bytes) {
    return Error(Code::kDataLoss, "the server's file has {} bytes, but {} are expected",
                 *total_bytes, *expected_bytes);
  }
  max_bytes_ = total_bytes ? total_bytes : expected_bytes;
  struct statvfs disk;
  if (max_bytes_ && fstatvfs(file_.get(), &disk) == 0 &&
      static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize < *max_bytes_) {
    return Error(DiskFull(path_, *max_bytes_));
  }
  etag_ = std::move(etag);
  total_bytes_ = total_bytes;
  if (!etag_.empty() && total_bytes_) TRY(Remember());
  return {};
}

Result<> PartFile::GoOn(const std::optional<ContentRange>& range, std::string_view etag) {
  const bool is_the_rest = range && range->first == n_bytes_ &&
                           (!range->total || range->total == total_bytes_) &&
                           (etag.empty() || etag == etag_);
  if (!is_the_rest) {
    TRY(Reset());
    return Error(Code::kAborted, "the server sent another part of the file than was asked for");
  }
  max_bytes_ = total_bytes_;
  return {};
}

Result<> PartFile::Append(Bytes bytes) {
  if (max_bytes_ && bytes.size() > *max_bytes_ - n_bytes_) {
    Discard(path_);
    return Error(Code::kDataLoss, "the server sent more than the {} bytes expected", *max_bytes_);
  }
  while (!bytes.empty()) {
    const ssize_t n = write(file_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
      const auto n_needed =
          max_bytes_ ? std::optional<uint64_t>(*max_bytes_ - n_bytes_) : std::nullopt;
      return Error(DiskFull(path_, n_needed));
    }
    if (n < 0) return Error(ErrnoStatus(errno, "write", path_));
    bytes = bytes.subspan(static_cast<size_t>(n));
    n_bytes_ += static_cast<uint64_t>(n);
  }
  return {};
}

Result<> PartFile::Finish(std::optional<uint64_t> expected_bytes) {
  const auto total = expected_bytes ? expected_bytes : total_bytes_;
  if (n_bytes_ == 0 || (total && n_bytes_ != *total)) {
    Discard(path_);
    return Error(Code::kDataLoss, "the download has {} bytes, but {} are expected", n_bytes_,
                 total ? std::to_string(*total) : "some");
  }
  if (fsync(file_.get()) != 0) return Error(ErrnoStatus(errno, "write", path_));
  return {};
}

}  // namespace lamina::store
