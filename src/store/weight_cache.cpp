#include "store/weight_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/checksum.h"
#include "store/manifest.h"
#include "store/sha256.h"

namespace lamina::store {
namespace {

namespace fs = std::filesystem;
using format::ModelSource;
using format::PackedFile;
using format::PackedPiece;
using format::PackedWriter;

constexpr std::string_view kSuffix = ".packed";
constexpr int kMostAttempts = 8;

std::string Canonical(const std::string& path) {
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  return error ? path : canonical.string();
}

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// A file by what the system says of it.
std::optional<std::string> DescribeFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return fmt::format("file {}:{} {} {}.{:09}", info.st_dev, info.st_ino, info.st_size,
                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

// The digest of a blob of the library, or nothing.
std::optional<std::string> BlobDigest(const std::string& path, const std::string& library_folder) {
  if (library_folder.empty()) return std::nullopt;
  const std::string prefix = Canonical(Layout(library_folder).blobs) + "/sha256-";
  if (!path.starts_with(prefix) || !IsSha256(path.substr(prefix.size()))) return std::nullopt;
  return path.substr(prefix.size());
}

// The first line of a key tells of the model's first file; enough to see that it has changed.
bool IsStale(const format::PackedHeader& header) {
  const std::string first_line = header.key.substr(0, header.key.find('\n'));
  const auto path_end = header.model_path.find('\n');
  const std::string file_path =
      path_end == std::string::npos ? header.model_path : header.model_path.substr(path_end + 1);
  const auto now = DescribeFile(file_path);
  if (!now) return true;
  return first_line.starts_with("file ") && !first_line.starts_with(*now + " ");
}

bool IsPartialName(const std::string& name) {
  const auto suffix = name.rfind(kSuffix);
  return suffix != std::string::npos && suffix + kSuffix.size() + 7 == name.size() &&
         name[suffix + kSuffix.size()] == '.';
}

// Whether a process still writes it: writers hold a lock.
bool IsBeingWritten(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return file.get() >= 0 && flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

// Looking at a file must not count as its use; only its owner may ask for that.
int OpenUnused(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const int fd = open(path.c_str(), kFlags | O_NOATIME);
  return fd < 0 && errno == EPERM ? open(path.c_str(), kFlags) : fd;
}

}  // namespace

const char* StateName(CachedWeights::State state) {
  switch (state) {
    case CachedWeights::State::kGood:
      return "good";
    case CachedWeights::State::kStale:
      return "stale";
    case CachedWeights::State::kDamaged:
      return "damaged";
    case CachedWeights::State::kPartial:
      return "partial";
  }
  return "";
}

Result<std::string> WeightCache::DefaultFolder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && cache[0] == '/') return std::string(cache) + "/lamina/weights";
  const char* home = std::getenv("HOME");
  if (home && home[0] == '/') return std::string(home) + "/.cache/lamina/weights";
  return Error(Code::kFailedPrecondition,
               "neither XDG_CACHE_HOME nor HOME is set, so there is no folder for packed weights");
}

WeightCache::~WeightCache() { RemovePartial(); }

Result<std::string> WeightCache::KeyOf(const ModelSource& source, std::string_view content) const {
  std::string key;
  for (size_t i = 0; i < source.file_paths().size(); ++i) {
    const std::string path = Canonical(source.file_paths()[i]);
    if (const auto digest = BlobDigest(path, library_folder_)) {
      key += fmt::format("sha256 {}\n", *digest);
      continue;
    }
    const auto description = DescribeFile(path);
    if (!description) return Error(Code::kNotFound, "{} is gone", path);
    const Bytes bytes = source.file(static_cast<int>(i)).bytes();
    uint64_t n_header_bytes = bytes.size();
    for (const format::Tensor& tensor : source.tensors()) {
      if (tensor.file == static_cast<int>(i)) {
        n_header_bytes = std::min(n_header_bytes, tensor.offset);
      }
    }
    key += fmt::format("{} {:016x}\n", *description, Checksum(bytes.subspan(0, n_header_bytes)));
  }
  return key + std::string(content);
}

std::string WeightCache::PathOf(const std::string& key) const {
  return fmt::format("{}/{:016x}{:016x}{}", folder_, Checksum(AsBytes(key)),
                     Checksum(AsBytes(key + "\n")), kSuffix);
}

Result<PackedFile> WeightCache::Open(const ModelSource& source, std::string_view content) {
  const std::string key = TRY(KeyOf(source, content));
  const std::string path = PathOf(key);
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return Error(ErrnoStatus(errno, "open", path));
  PackedFile packed = TRY(PackedFile::Open(file));
  if (packed.header().key != key) return Error(Code::kNotFound, "{} is of another model", path);
  const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  (void)futimens(file.get(), times);  // When it was last used; not known on a read-only disk.
  return packed;
}

Result<PackedWriter> WeightCache::Create(const ModelSource& source, std::string_view content,
                                         std::vector<PackedPiece> pieces) {
  auto writer = TryCreate(source, content, std::move(pieces));
  if (!writer) {
    problem_ = writer.error();
    RemovePartial();
  }
  return writer;
}

Result<PackedWriter> WeightCache::TryCreate(const ModelSource& source, std::string_view content,
                                            std::vector<PackedPiece> pieces) {
  const std::string key = TRY(KeyOf(source, content));
  uint64_t n_bytes = 0;
  for (const PackedPiece& piece : pieces) n_bytes += piece.n_bytes;
  TRY(MakeFolders(folder_));
  TRY(MakeRoom(n_bytes));
  partial_ = TRY(MakePartial(PathOf(key)));
  // A folder is named too, as people know it, and its first file, by which changes are seen.
  std::string model_path = Canonical(source.path());
  const std::string file_path = Canonical(source.file_paths().front());
  if (file_path != model_path) model_path += "\n" + file_path;
  return PackedWriter::Create(partial_->file, key, std::move(model_path), std::move(pieces));
}

Result<> WeightCache::MakeRoom(uint64_t n_bytes) const {
  if (n_bytes > budget_bytes_) {
    return Error(Code::kResourceExhausted,
                 "{} bytes are more than the budget of the cache, {}; raise it with --cache-gb",
                 n_bytes, budget_bytes_);
  }
  Prune(budget_bytes_ - n_bytes);
  return {};
}

Result<WeightCache::Partial> WeightCache::MakePartial(const std::string& final_path) const {
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    std::string path = final_path + ".XXXXXX";
    Descriptor file(mkostemp(path.data(), O_CLOEXEC));
    if (file.get() < 0) return Error(ErrnoStatus(errno, "create", path));
    // Another process may take it for a dead one's before it is locked.
    struct stat info;
    if (flock(file.get(), LOCK_EX | LOCK_NB) == 0 && fstat(file.get(), &info) == 0 &&
        info.st_nlink > 0) {
      return Partial{std::move(path), final_path, std::move(file)};
    }
    unlink(path.c_str());
  }
  return Error(Code::kUnavailable, "cannot lock a new file in {}", folder_);
}

void WeightCache::RemovePartial() {
  if (partial_) unlink(partial_->path.c_str());
  partial_.reset();
}

Result<PackedFile> WeightCache::Finish(PackedWriter writer, ThreadPool& pool) {
  const auto finish = [&]() -> Result<PackedFile> {
    PackedFile file = TRY(std::move(writer).Seal(pool));
    // The memory is good whether or not the file gets its name.
    if (fchmod(partial_->file.get(), 0644) != 0 ||
        rename(partial_->path.c_str(), partial_->final_path.c_str()) != 0) {
      problem_ = ErrnoStatus(errno, "replace", partial_->final_path);
      RemovePartial();
      return file;
    }
    partial_.reset();
    if (const auto synced = SyncFolder(folder_); !synced) problem_ = synced.error();
    return file;
  };
  auto file = finish();
  if (!file) {
    problem_ = file.error();
    RemovePartial();
  }
  return file;
}

std::vector<CachedWeights> WeightCache::List() const {
  std::vector<CachedWeights> files;
  for (const std::string& name : NamesIn(folder_)) {
    CachedWeights entry;
    entry.path = folder_ + "/" + name;
    struct stat info;
    const bool is_partial = IsPartialName(name);
    if (!is_partial && !name.ends_with(kSuffix)) continue;
    const Descriptor file(OpenUnused(entry.path));
    if (file.get() < 0 || fstat(file.get(), &info) != 0) {
      if (lstat(entry.path.c_str(), &info) != 0) continue;
      entry.state = CachedWeights::State::kDamaged;
      files.push_back(std::move(entry));
      continue;
    }
    entry.bytes = static_cast<uint64_t>(info.st_blocks) * 512;
    entry.last_used_unix_s = info.st_atim.tv_sec;
    if (is_partial) {
      if (IsBeingWritten(entry.path)) continue;
      entry.state = CachedWeights::State::kPartial;
    } else if (const auto header = format::ReadPackedHeader(file.get())) {
      entry.model_path = header->model_path.substr(0, header->model_path.find('\n'));
      if (IsStale(*header)) entry.state = CachedWeights::State::kStale;
    } else {
      entry.state = CachedWeights::State::kDamaged;
    }
    files.push_back(std::move(entry));
  }
  std::stable_sort(files.begin(), files.end(), [](const CachedWeights& a, const CachedWeights& b) {
    return a.last_used_unix_s > b.last_used_unix_s;
  });
  return files;
}

Result<> WeightCache::Verify(const CachedWeights& entry) {
  const Descriptor file(open(entry.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return Error(ErrnoStatus(errno, "open", entry.path));
  const PackedFile packed = TRY(PackedFile::Open(file));
  return packed.VerifyData();
}

Result<> WeightCache::Remove(const CachedWeights& file) {
  if (unlink(file.path.c_str()) != 0 && errno != ENOENT) {
    return Error(ErrnoStatus(errno, "remove", file.path));
  }
  return {};
}

uint64_t WeightCache::Prune(uint64_t most_bytes) const {
  uint64_t n_freed = 0, n_kept = 0;
  for (const CachedWeights& file : List()) {
    const bool keep =
        file.state == CachedWeights::State::kGood && file.bytes <= most_bytes - n_kept;
    if (keep) {
      n_kept += file.bytes;
    } else if (Remove(file)) {
      n_freed += file.bytes;
    }
  }
  return n_freed;
}

uint64_t WeightCache::BytesOf(const std::string& model_path) const {
  const std::string canonical = Canonical(model_path);
  uint64_t n_bytes = 0;
  for (const CachedWeights& file : List()) {
    if (file.model_path == canonical) n_bytes += file.bytes;
  }
  return n_bytes;
}

uint64_t WeightCache::RemoveModel(const std::string& model_path) const {
  const std::string canonical = Canonical(model_path);
  uint64_t n_freed = 0;
  for (const CachedWeights& file : List()) {
    if (file.model_path == canonical && Remove(file)) n_freed += file.bytes;
  }
  return n_freed;
}

}  // namespace lamina::store
