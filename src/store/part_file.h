// A file that arrives in pieces, over several runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "base/file.h"
#include "base/result.h"

namespace lamina::store {

/// "bytes FIRST-LAST/TOTAL" of an answer to a request for a range.
struct ContentRange {
  uint64_t first;
  uint64_t last;
  std::optional<uint64_t> total;
};
std::optional<ContentRange> ParseContentRange(std::string_view value);

/// kResourceExhausted, and what to do. `n_needed`: bytes still to come, where known.
Status DiskFull(const std::string& path, std::optional<uint64_t> n_needed);

/// The bytes that have come so far, and, in a file beside them, of which version of what. Only a
/// part with an etag is gone on with: without one, a changed file would be spliced unnoticed.
class PartFile {
 public:
  /// Opens what an earlier run left for this url, or begins an empty part.
  static Result<PartFile> Open(const std::string& path, const std::string& url);
  static void Discard(const std::string& path);

  uint64_t n_bytes() const { return n_bytes_; }
  std::optional<uint64_t> total_bytes() const { return total_bytes_; }
  const std::string& etag() const { return etag_; }
  bool CanGoOn() const { return !etag_.empty() && total_bytes_; }
  bool IsComplete() const { return total_bytes_ && n_bytes_ == *total_bytes_ && n_bytes_ > 0; }

  /// Empties the part and forgets what it was of.
  Result<> Reset();
  /// The server sends the file from its beginning. Errors: kDataLoss: its length is not the one
  /// expected; kResourceExhausted: it does not fit on the disk.
  Result<> StartOver(std::string etag, std::optional<uint64_t> total_bytes,
                     std::optional<uint64_t> expected_bytes);
  /// The server sends the rest. Errors: kAborted, with an empty part to begin anew, where it is
  /// not the rest of this.
  Result<> GoOn(const std::optional<ContentRange>& range, std::string_view etag);
  /// Errors: kResourceExhausted: the disk is full; kDataLoss: more than was to come.
  Result<> Append(Bytes bytes);
  /// Checks the length and syncs. Errors: kDataLoss, with the part discarded.
  Result<> Finish(std::optional<uint64_t> expected_bytes);

 private:
  PartFile(std::string path, std::string url, Descriptor file)
      : path_(std::move(path)), url_(std::move(url)), file_(std::move(file)) {}
  Result<> Remember() const;

  std::string path_;
  std::string url_;
  Descriptor file_;
  std::string etag_;
  uint64_t n_bytes_ = 0;
  std::optional<uint64_t> total_bytes_;
  std::optional<uint64_t> max_bytes_;
};

}  // namespace lamina::store
