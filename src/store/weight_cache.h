// The cache of packed weights: one file per model and packing, in one folder, within a budget.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "format/packed_file.h"

namespace lamina::store {

/// One file of the cache.
struct CachedWeights {
  enum class State {
    kGood,     ///< Its header is whole, its model as it was.
    kStale,    ///< The model is gone or has changed since.
    kDamaged,  ///< Not a file that can be used.
    kPartial   ///< What a killed process left.
  };
  std::string path;
  std::string model_path;  ///< What was opened; empty where the header cannot be read.
  uint64_t bytes = 0;      ///< On the disk.
  int64_t last_used_unix_s = 0;
  State state = State::kGood;
};
const char* StateName(CachedWeights::State state);  ///< "good", "stale", "damaged", "partial".

/// Files are named by a hash of their key: which model (the digest of a library's blob, else
/// device, inode, size, modification time and a checksum of header and tensor table) and how its
/// weights were packed. They appear by rename, so a kill leaves at most a partial file, which the
/// next writer removes. Processes may share a folder; one object per thread.
class WeightCache : public format::PackedStore {
 public:
  /// $XDG_CACHE_HOME/lamina/weights, else ~/.cache/lamina/weights. Errors: neither is set.
  static Result<std::string> DefaultFolder();

  /// `library_folder`: files in its blobs are named by their digest; empty: there is none.
  WeightCache(std::string folder, std::string library_folder, uint64_t budget_bytes)
      : folder_(std::move(folder)),
        library_folder_(std::move(library_folder)),
        budget_bytes_(budget_bytes) {}
  ~WeightCache() override;

  Result<format::PackedFile> Open(const format::ModelSource& source,
                                  std::string_view content) override;
  Result<format::PackedWriter> Create(const format::ModelSource& source, std::string_view content,
                                      std::vector<format::PackedPiece> pieces) override;
  Result<format::PackedFile> Finish(format::PackedWriter writer, ThreadPool& pool) override;

  /// Why the last Create or Finish could not keep something; OK where nothing went wrong.
  const Status& problem() const { return problem_; }

  /// Every file, the one used last first. None where the folder does not exist.
  std::vector<CachedWeights> List() const;
  /// Reads all of a file of List(). Errors: kDataLoss.
  static Result<> Verify(const CachedWeights& file);
  /// Removes a file of List(). Errors: as unlink.
  static Result<> Remove(const CachedWeights& file);
  /// Removes what is not good, then the files used longest ago until at most `most_bytes` are left.
  /// Returns the bytes that were freed.
  uint64_t Prune(uint64_t most_bytes) const;
  /// Bytes held for the model at this path (as ModelSource::path, or a manifest's).
  uint64_t BytesOf(const std::string& model_path) const;
  /// Removes what is held for the model at this path; the bytes freed.
  uint64_t RemoveModel(const std::string& model_path) const;

  const std::string& folder() const { return folder_; }
  uint64_t budget_bytes() const { return budget_bytes_; }

 private:
  // A file that is being written. Holding its lock says so to other processes.
  struct Partial {
    std::string path, final_path;
    Descriptor file;
  };
  Result<std::string> KeyOf(const format::ModelSource& source, std::string_view content) const;
  std::string PathOf(const std::string& key) const;
  Result<format::PackedWriter> TryCreate(const format::ModelSource& source,
                                         std::string_view content,
                                         std::vector<format::PackedPiece> pieces);
  Result<> MakeRoom(uint64_t n_bytes) const;
  Result<Partial> MakePartial(const std::string& final_path) const;
  void RemovePartial();

  std::string folder_, library_folder_;
  uint64_t budget_bytes_;
  std::optional<Partial> partial_;
  Status problem_;
};

}  // namespace lamina::store
