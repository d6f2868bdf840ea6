// Files of packed weights: what a load made of a model's tensors, mapped by later loads.
//
//   0   8  magic "LAMINAPK"             48  8  checksum of [0, data_offset) with this field zero
//   8   4  version                      56  8  zero
//   12  4  n_pieces                     64     pieces, 16 bytes each: n_bytes, checksum of the
//   bytes 16  4  key bytes                    ...    key, model path, zeros 20  4  model path bytes
//   data_offset  the pieces, one after another, in the order in 24  8  data_offset, of whole pages
//   which a token's computation reads them 32  8  data_bytes 40  8  time of writing, Unix seconds:
//   also the file's modification time
//
// Numbers are little-endian, checksums XXH64. The file ends with its last piece. Every byte is
// untrusted; geometry is taken from the model, never from here, so wrong bytes give wrong numbers,
// not wrong addresses.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "base/file.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "format/model_source.h"

namespace lamina::format {

/// A stretch of packed weights: a matrix, a table of rows, a vector. A multiple of 64 bytes.
struct PackedPiece {
  uint64_t n_bytes = 0;
  uint64_t checksum = 0;
};

/// Everything before the data.
struct PackedHeader {
  std::string key;         ///< What the data was made of, and how.
  std::string model_path;  ///< Of which model, for people.
  uint64_t data_offset = 0;
  uint64_t data_bytes = 0;
  int64_t written_unix_s = 0;
  std::vector<PackedPiece> pieces;
};

/// Reads and verifies the header of an open file. Errors: kDataLoss says what is wrong with it.
Result<PackedHeader> ReadPackedHeader(int fd);

/// Mapped memory. Moves, does not copy.
class Mapping {
 public:
  Mapping() = default;
  Mapping(uint8_t* data, uint64_t n_bytes) : data_(data), n_bytes_(n_bytes) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();
  uint8_t* data() const { return data_; }
  uint64_t n_bytes() const { return n_bytes_; }

 private:
  uint8_t* data_ = nullptr;
  uint64_t n_bytes_ = 0;
};

/// A whole file of packed weights, mapped read-only.
class PackedFile {
 public:
  /// Verifies the header of a file open for reading and maps it. The data is verified only where
  /// the file's modification time is not the one that its writer gave it (so a start reads nothing
  /// that it does not use); then the time is set back. Errors: kDataLoss.
  static Result<PackedFile> Open(const Descriptor& file);

  PackedFile() = default;
  const PackedHeader& header() const { return header_; }
  /// [data_bytes], 64-byte aligned; piece 0 first.
  const uint8_t* data() const { return mapping_.data() + header_.data_offset; }
  /// Reads all of the data. Errors: kDataLoss names the first piece that is not as written.
  Result<> VerifyData() const;

 private:
  friend class PackedWriter;
  PackedHeader header_;
  Mapping mapping_;
};

/// A file of packed weights being made: its space is reserved, its data is memory to write to.
class PackedWriter {
 public:
  /// In an empty file open for reading and writing. Errors: kResourceExhausted where the disk has
  /// no room: it would otherwise be a SIGBUS later.
  static Result<PackedWriter> Create(const Descriptor& file, std::string key,
                                     std::string model_path, std::vector<PackedPiece> pieces);

  uint8_t* data() const { return file_.mapping_.data() + file_.header_.data_offset; }
  /// [begin, end) of the data is final: the disk may begin to write it.
  void Flush(uint64_t begin, uint64_t end) const;
  /// Checksums the pieces on all threads, writes the header, sets the time, syncs. The result is
  /// the same memory, now read-only. Errors: the disk failed; the memory may be lost.
  Result<PackedFile> Seal(ThreadPool& pool) &&;

 private:
  explicit PackedWriter(PackedFile file, int fd) : file_(std::move(file)), fd_(fd) {}
  Result<> WriteHeader() const;

  PackedFile file_;
  int fd_;  ///< The caller's, open until Seal has returned.
};

/// Where packed weights are kept between loads. One load at a time.
class PackedStore {
 public:
  virtual ~PackedStore() = default;
  /// What was made of this model in the way that `content` names. Errors: kNotFound where there is
  /// none, or none that is whole.
  virtual Result<PackedFile> Open(const ModelSource& source, std::string_view content) = 0;
  /// A file to be filled. Errors: it cannot be kept; then the load goes on without.
  virtual Result<PackedWriter> Create(const ModelSource& source, std::string_view content,
                                      std::vector<PackedPiece> pieces) = 0;
  /// Seals the file of the last Create and gives it its name. Errors: as Seal.
  virtual Result<PackedFile> Finish(PackedWriter writer, ThreadPool& pool) = 0;
};

}  // namespace lamina::format
