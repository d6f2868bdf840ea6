#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "cli/loaded_model.h"
#include "cli/options.h"
#include "cli/standard_input.h"
#include "cli/verbs.h"

namespace lamina::cli {
namespace {

constexpr uint64_t kMostIdBytes = 64 << 20;
constexpr int64_t kChunkValues = 16 << 20;  // 64 MiB of logits at once.

// A safetensors file with one f32 tensor "logits", written row after row. It is a file without a
// name until it is whole: an old one stays as it is, and a kill leaves nothing behind. Devices and
// pipes are written to as they are.
class LogitsFile {
 public:
  static Result<LogitsFile> Open(const std::string& path) {
    LogitsFile file;
    file.path_ = path;
    std::error_code error;
    // Through a link to the file that is meant, there or not.
    const auto real = std::filesystem::weakly_canonical(path, error);
    if (!error) file.path_ = real.string();
    struct stat info {};
    const bool exists = stat(path.c_str(), &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) return Error(ErrnoStatus(EISDIR, "write", path));
    file.is_plain_ = !exists || S_ISREG(info.st_mode);
    if (!file.is_plain_) {
      file.fd_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    } else {
      const std::string folder = std::filesystem::path(file.path_).parent_path().string();
      file.fd_ =
          open(folder.empty() ? "." : folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
      if (file.fd_ < 0) {  // Not every file system has files without names.
        file.temporary_ = file.SideName();
        file.fd_ = open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
      }
    }
    if (file.fd_ < 0) return Error(ErrnoStatus(errno, "create", path));
    return file;
  }

  Result<> Begin(int64_t n_rows, int64_t n_cols) {
    std::string header =
        fmt::format(R"({{"logits":{{"dtype":"F32","shape":[{},{}],"data_offsets":[0,{}]}}}})",
                    n_rows, n_cols, n_rows * n_cols * 4);
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const uint64_t n_header = header.size();
    TRY(Write(&n_header, sizeof n_header));
    return Write(header.data(), header.size());
  }

  LogitsFile(LogitsFile&& other) noexcept
      : path_(std::move(other.path_)),
        temporary_(std::move(other.temporary_)),
        is_plain_(other.is_plain_),
        fd_(std::exchange(other.fd_, -1)) {}
  LogitsFile& operator=(LogitsFile&&) = delete;
  ~LogitsFile() {
    if (fd_ < 0) return;
    close(fd_);
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }

  Result<> Write(const void* data, size_t n_bytes) {
    const auto* bytes = static_cast<const char*>(data);
    while (n_bytes > 0) {
      const ssize_t n = write(fd_, bytes, n_bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Error(ErrnoStatus(errno, "write", path_));
      bytes += n;
      n_bytes -= static_cast<size_t>(n);
    }
    return {};
  }

  Result<> Finish() {
    if (is_plain_) {
      if (temporary_.empty()) TRY(NameIt());
      if (rename(temporary_.c_str(), path_.c_str()) != 0) {
        return Error(ErrnoStatus(errno, "write", path_));
      }
      temporary_.clear();
    }
    if (close(std::exchange(fd_, -1)) != 0) return Error(ErrnoStatus(errno, "write", path_));
    return {};
  }

 private:
  LogitsFile() = default;

  std::string SideName() const { return fmt::format("{}.{}", path_, getpid()); }

  // rename replaces an old file and linkat does not, so the file gets a name to be renamed from.
  Result<> NameIt() {
    const std::string name = SideName();
    unlink(name.c_str());
    const std::string open_file = fmt::format("/proc/self/fd/{}", fd_);
    if (linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return Error(ErrnoStatus(errno, "write", path_));
    }
    temporary_ = name;
    return {};
  }

  std::string path_, temporary_;  // The latter: to be removed, or renamed, at the end.
  bool is_plain_ = true;
  int fd_ = -1;
};

class Logits : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("MODEL", &model_, "Which model");
    options.RequiredText("--ids", &ids_path_,
                         "File of decimal token ids, used as they are; - reads standard input",
                         "FILE");
    options.RequiredText("--out", &out_path_,
                         "Where to write logits, f32 [n_tokens, n_vocab], as safetensors", "FILE");
    options.Number("--chunk", &chunk_, 1, 1 << 20,
                   "Tokens per step of the model; 1 = token by token; default 512");
    compute_.Define(options);
  }

  Result<int> Run(const Context&) override {
    const bool is_input = ids_path_ == "-";
    const std::string text =
        TRY(is_input ? ReadStandardInput(kMostIdBytes) : ReadFile(ids_path_, kMostIdBytes));
    if (is_input) ids_path_ = "standard input";
    // The context must be known before the model loads; the ids' range only after.
    compute_.context =
        std::ssize(TRY(ParseIds(text, std::numeric_limits<int32_t>::max(), ids_path_.c_str())));
    if (compute_.context == 0) return Error(Code::kInvalidArgument, "{} has no ids", ids_path_);
    // Before the work, so that a place that cannot be written costs nothing.
    auto file = TRY(LogitsFile::Open(out_path_));
    const LoadedModel loaded = TRY(LoadModel(model_, compute_));
    const int64_t n_vocab = loaded.model->spec().n_vocab;
    const auto ids = TRY(ParseIds(text, n_vocab, ids_path_.c_str()));
    const auto n_tokens = std::ssize(ids);

    auto sequence = TRY(loaded.model->NewSequence());
    sequence->Announce(n_tokens);
    TRY(file.Begin(n_tokens, n_vocab));
    const int64_t n_chunk =
        std::min({chunk_, n_tokens, std::max<int64_t>(1, kChunkValues / n_vocab)});
    std::vector<float> logits(static_cast<size_t>(n_chunk * n_vocab));
    for (int64_t begin = 0; begin < n_tokens; begin += n_chunk) {
      const int64_t n = std::min(n_chunk, n_tokens - begin);
      const model::StepPart part{
          sequence.get(),
          std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(n)), n};
      TRY(loaded.model->Forward(*loaded.pool, {&part, 1}, logits.data(), nullptr));
      TRY(file.Write(logits.data(), static_cast<size_t>(n * n_vocab) * sizeof(float)));
    }
    TRY(file.Finish());
    return kDone;
  }

 private:
  std::string model_, ids_path_, out_path_;
  int64_t chunk_ = 512;
  ComputeOptions compute_;
};

}  // namespace

std::unique_ptr<Command> MakeLogits() { return std::make_unique<Logits>(); }

}  // namespace lamina::cli
