#include "store/zip_archive.h"

#include <zip.h>

#include <algorithm>

#include "format/quote.h"

namespace lamina::store {
namespace {

constexpr int64_t kMaxMembers = 10000;
constexpr size_t kPieceBytes = 1 << 20;

struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

}  // namespace

void ZipArchive::Closer::operator()(zip* archive) const { zip_discard(archive); }

Result<ZipArchive> ZipArchive::Open(const std::string& path) {
  int error = 0;
  ZipArchive opened;
  opened.path_ = path;
  opened.archive_.reset(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (!opened.archive_) {
    zip_error_t detail;
    zip_error_init_with_code(&detail, error);
    const std::string reason = zip_error_strerror(&detail);
    zip_error_fini(&detail);
    return Error(Code::kDataLoss, "{} is not a sound zip file: {}", path, reason);
  }
  const int64_t n_members = zip_get_num_entries(opened.archive_.get(), 0);
  if (n_members > kMaxMembers) {
    return Error(Code::kDataLoss, "{} has {} members; at most {} are allowed", path, n_members,
                 kMaxMembers);
  }
  for (int64_t i = 0; i < n_members; ++i) {
    zip_stat_t info;
    zip_stat_init(&info);
    const auto index = static_cast<uint64_t>(i);
    constexpr uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE;
    if (zip_stat_index(opened.archive_.get(), index, 0, &info) != 0 ||
        (info.valid & kNeeded) != kNeeded) {
      return Error(Code::kDataLoss, "{}: the entry of member {} is damaged", path, i);
    }
    opened.members_.push_back({info.name, index, info.size});
  }
  return opened;
}

Result<> ZipArchive::Read(const ZipMember& member, FunctionRef<Result<>(Bytes)> write) const {
  const auto fail = [&](std::string_view reason) {
    return Error(Code::kDataLoss, "{}: the member {} is damaged: {}", path_,
                 format::Quote(member.name), reason);
  };
  std::unique_ptr<zip_file_t, FileCloser> file(zip_fopen_index(archive_.get(), member.index, 0));
  if (!file) return fail(zip_strerror(archive_.get()));
  std::vector<uint8_t> piece(kPieceBytes);
  uint64_t n_left = member.bytes;
  for (;;) {
    const int64_t n = zip_fread(file.get(), piece.data(), piece.size());
    if (n < 0) return fail(zip_file_strerror(file.get()));
    if (static_cast<uint64_t>(n) > n_left) return fail("it is longer than its entry says");
    if (n == 0) break;
    n_left -= static_cast<uint64_t>(n);
    TRY(write(Bytes(piece).first(static_cast<size_t>(n))));
  }
  if (n_left != 0) return fail("it is shorter than its entry says");
  return {};
}

Result<std::string> ZipArchive::ReadText(const ZipMember& member, uint64_t max_bytes) const {
  if (member.bytes > max_bytes) {
    return Error(Code::kResourceExhausted, "{}: the member {} is larger than {} bytes", path_,
                 format::Quote(member.name), max_bytes);
  }
  std::string text;
  TRY(Read(member, [&](Bytes bytes) -> Result<> {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }));
  return text;
}

}  // namespace lamina::store
