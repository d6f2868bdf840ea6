#include <optional>

#include "format/gguf.h"
#include "format/model_source_builder.h"
#include "format/quote.h"

namespace lamina::format {
namespace {

constexpr uint64_t kMaxSplitFiles = 99999;  // five digits in a file's name

// PREFIX-00001-of-00003.gguf
struct SplitName {
  std::string prefix;
  uint64_t number;  // from 1
  uint64_t count;

  std::string PathOf(uint64_t n) const {
    return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, n, count);
  }
};

std::optional<uint64_t> FiveDigits(std::string_view text) {
  uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

std::optional<SplitName> ParseSplitName(std::string_view path) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  if (path.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kPattern.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") {
    return std::nullopt;
  }
  const auto number = FiveDigits(tail.substr(1, 5));
  const auto count = FiveDigits(tail.substr(10, 5));
  if (!number || !count) return std::nullopt;
  return SplitName{std::string(path.substr(0, path.size() - kPattern.size())), *number, *count};
}

struct Part {
  MappedFile file;
  GgufFile gguf;
};

Result<Part> OpenPart(const std::string& path) {
  MappedFile file = TRY(MappedFile::Open(path));
  auto gguf = ParseGguf(file.bytes());
  if (!gguf) return Error(gguf.error().Prefixed(path));
  return Part{std::move(file), std::move(*gguf)};
}

// The place in a split set: split.count is absent or 1 in a whole model.
struct SplitFields {
  uint64_t number;  // from 0
  uint64_t count;
};

Result<SplitFields> ReadSplitFields(const Metadata& metadata) {
  const uint64_t count = TRY(metadata.GetUintOr("split.count", 1));
  const uint64_t number = TRY(metadata.GetUintOr("split.no", 0));
  if (count > kMaxSplitFiles) {
    return Error(Code::kInvalidArgument, "split.count is {}; at most {} are allowed", count,
                 kMaxSplitFiles);
  }
  return SplitFields{number, count == 0 ? 1 : count};
}

Result<> OpenRest(const SplitName& name, uint64_t n_expected_tensors, ModelSourceBuilder& builder) {
  for (uint64_t number = 2; number <= name.count; ++number) {
    const std::string path = name.PathOf(number);
    Part part = TRY(OpenPart(path));
    const auto fields = ReadSplitFields(part.gguf.metadata);
    if (!fields) return Error(fields.error().Prefixed(path));
    if (fields->number != number - 1 || fields->count != name.count) {
      return Error(Code::kInvalidArgument,
                   "{}: split.no is {} and split.count {}, but its name says {} of {}", path,
                   fields->number, fields->count, number, name.count);
    }
    builder.AddFile(std::move(part.file), path, std::move(part.gguf.tensors));
  }
  const uint64_t n_tensors = builder.source->tensors().size();
  if (n_expected_tensors != 0 && n_tensors != n_expected_tensors) {
    return Error(Code::kInvalidArgument,
                 "{}: split.tensors.count is {}, but the {} files hold {} tensors", name.PathOf(1),
                 n_expected_tensors, name.count, n_tensors);
  }
  return builder.IndexNames();
}

}  // namespace

Result<> OpenGguf(const std::string& path, ModelSourceBuilder& builder) {
  Part part = TRY(OpenPart(path));
  const auto fields = ReadSplitFields(part.gguf.metadata);
  if (!fields) return Error(fields.error().Prefixed(path));
  const auto n_expected_tensors = part.gguf.metadata.GetUintOr("split.tensors.count", 0);
  if (!n_expected_tensors) return Error(n_expected_tensors.error().Prefixed(path));
  builder.metadata() = std::move(part.gguf.metadata);
  builder.AddFile(std::move(part.file), path, std::move(part.gguf.tensors));
  if (fields->count == 1) return builder.IndexNames();

  const auto name = ParseSplitName(path);
  if (!name || name->count != fields->count) {
    return Error(Code::kInvalidArgument,
                 "{}: split.count is {}, but the name does not end in -00001-of-{:05}.gguf, so the "
                 "other files cannot be found",
                 path, fields->count, fields->count);
  }
  if (fields->number != 0 || name->number != 1) {
    return Error(Code::kInvalidArgument, "{} is file {} of {}; open the first one, {}", path,
                 fields->number + 1, fields->count, name->PathOf(1));
  }
  return OpenRest(*name, *n_expected_tensors, builder);
}

}  // namespace lamina::format
