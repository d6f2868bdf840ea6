#include "format/packed_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/checksum.h"

namespace lamina::format {
namespace {

constexpr size_t kChecksumOffset = 48, kFixedBytes = 64;
const std::vector<uint64_t> kPieceBytes = {64, 4096, 0, 128, 100032};

// Files without a name, so that nothing is left behind.
Descriptor NewFile(const std::string& content = "") {
  Descriptor file(memfd_create("packed", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  return file;
}

std::string ContentOf(const Descriptor& file) {
  struct stat info;
  EXPECT_EQ(fstat(file.get(), &info), 0);
  std::string content(static_cast<size_t>(info.st_size), '\0');
  EXPECT_EQ(pread(file.get(), content.data(), content.size(), 0), info.st_size);
  return content;
}

std::vector<PackedPiece> Pieces() {
  std::vector<PackedPiece> pieces;
  for (const uint64_t n : kPieceBytes) pieces.push_back({n, 0});
  return pieces;
}

// A good file and what its pieces hold.
struct Sample {
  Descriptor file = NewFile();
  std::string data;
  PackedFile sealed;
};

Sample MakeSample(ThreadPool& pool) {
  Sample sample;
  auto writer = PackedWriter::Create(sample.file, "key\nof two lines", "/some/model", Pieces());
  EXPECT_TRUE(writer) << writer.error().message();
  uint64_t n = 0;
  for (const uint64_t piece : kPieceBytes) n += piece;
  for (uint64_t i = 0; i < n; ++i) {
    sample.data += static_cast<char>(i * i >> 3);
    writer->data()[i] = static_cast<uint8_t>(sample.data.back());
  }
  writer->Flush(0, n);
  auto sealed = std::move(*writer).Seal(pool);
  EXPECT_TRUE(sealed) << sealed.error().message();
  sample.sealed = std::move(*sealed);
  return sample;
}

std::string DataOf(const PackedFile& file) {
  return {reinterpret_cast<const char*>(file.data()), file.header().data_bytes};
}

// Gives a changed header the checksum that it should have.
std::string Resealed(std::string content, uint64_t n_header_bytes) {
  std::memset(content.data() + kChecksumOffset, 0, 8);
  const uint64_t sum = Checksum({reinterpret_cast<const uint8_t*>(content.data()), n_header_bytes});
  std::memcpy(content.data() + kChecksumOffset, &sum, 8);
  return content;
}

class PackedFileTest : public testing::Test {
 protected:
  ThreadPool pool_{2};
  Sample sample_ = MakeSample(pool_);
  std::string content_ = ContentOf(sample_.file);
  uint64_t data_offset_ = sample_.sealed.header().data_offset;
};

TEST_F(PackedFileTest, HoldsWhatWasWritten) {
  EXPECT_EQ(DataOf(sample_.sealed), sample_.data);
  const auto opened = PackedFile::Open(sample_.file);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(DataOf(*opened), sample_.data);
  EXPECT_EQ(opened->header().key, "key\nof two lines");
  EXPECT_EQ(opened->header().model_path, "/some/model");
  EXPECT_EQ(opened->header().pieces.size(), kPieceBytes.size());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(opened->data()) % 64, 0u);
  EXPECT_TRUE(opened->VerifyData());
}

TEST_F(PackedFileTest, EveryTruncationAndEveryExtraByteIsRefused) {
  for (size_t n = 0; n < content_.size(); n += n < data_offset_ ? 1 : 997) {
    const auto opened = PackedFile::Open(NewFile(content_.substr(0, n)));
    ASSERT_FALSE(opened) << n;
    EXPECT_EQ(opened.error().code(), Code::kDataLoss) << n;
  }
  EXPECT_FALSE(PackedFile::Open(NewFile(content_ + "x")));
}

TEST_F(PackedFileTest, EveryChangedByteOfTheHeaderIsRefused) {
  for (size_t i = 0; i < data_offset_; ++i) {
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      if (content_[i] == static_cast<char>(value)) continue;
      std::string changed = content_;
      changed[i] = static_cast<char>(value);
      const auto header = ReadPackedHeader(NewFile(changed.substr(0, content_.size())).get());
      ASSERT_FALSE(header) << i << " " << value;
      EXPECT_EQ(header.error().code(), Code::kDataLoss);
    }
  }
}

// An attacker knows the checksum too: then every accepted header must still describe its file.
TEST_F(PackedFileTest, HostileHeadersWithRightChecksumsStayInBounds) {
  const size_t n_interesting = kFixedBytes + 16 * kPieceBytes.size() + 64;
  int n_accepted = 0;
  for (size_t i = 0; i < n_interesting; ++i) {
    for (const int value : {0x00, 0x01, 0x40, 0x7F, 0x80, 0xFF}) {
      std::string changed = content_;
      changed[i] = static_cast<char>(value);
      const auto opened = PackedFile::Open(NewFile(Resealed(changed, data_offset_)));
      if (!opened) continue;
      ++n_accepted;
      const PackedHeader& header = opened->header();
      EXPECT_EQ(header.data_offset + header.data_bytes, content_.size());
      uint64_t n = 0;
      for (const PackedPiece& piece : header.pieces) n += piece.n_bytes;
      EXPECT_EQ(n, header.data_bytes);
      EXPECT_EQ(DataOf(*opened), sample_.data);  // All of it can be read.
    }
  }
  EXPECT_GT(n_accepted, 0);  // Texts, unused bytes, values as they were.
}

TEST_F(PackedFileTest, ImpossibleCountsAreRefusedWithoutTheirMemory) {
  for (const size_t offset : {12, 24, 28, 32, 36}) {
    for (const uint32_t value : {0u, 1u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
      std::string changed = content_;
      std::memcpy(changed.data() + offset, &value, 4);
      if (changed == content_) continue;
      EXPECT_FALSE(PackedFile::Open(NewFile(Resealed(changed, data_offset_))))
          << offset << " " << value;
    }
  }
}

TEST_F(PackedFileTest, TextsPastTheHeaderAreRefused) {
  for (const size_t offset : {16, 20}) {
    for (const uint32_t value : {16384u, 16385u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
      std::string changed = content_;
      std::memcpy(changed.data() + offset, &value, 4);
      EXPECT_FALSE(PackedFile::Open(NewFile(Resealed(changed, data_offset_))))
          << offset << " " << value;
    }
  }
}

TEST_F(PackedFileTest, ChangedDataIsFoundByItsTime) {
  const char wrong = static_cast<char>(sample_.data[5000] ^ 4);
  ASSERT_EQ(pwrite(sample_.file.get(), &wrong, 1, static_cast<off_t>(data_offset_ + 5000)), 1);
  const auto opened = PackedFile::Open(sample_.file);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message().find("piece 4 of 5"), std::string::npos)
      << opened.error().message();
}

TEST_F(PackedFileTest, ChangedDataWithItsTimeSetBackIsFoundByVerifying) {
  const char wrong = static_cast<char>(sample_.data[0] ^ 128);
  ASSERT_EQ(pwrite(sample_.file.get(), &wrong, 1, static_cast<off_t>(data_offset_)), 1);
  const timespec times[2] = {{0, UTIME_OMIT}, {sample_.sealed.header().written_unix_s, 0}};
  ASSERT_EQ(futimens(sample_.file.get(), times), 0);
  const auto opened = PackedFile::Open(sample_.file);
  ASSERT_TRUE(opened);  // Not read at a start.
  EXPECT_FALSE(opened->VerifyData());
}

TEST_F(PackedFileTest, ACopyIsVerifiedOnceAndStamped) {
  const Descriptor copy = NewFile(content_);
  ASSERT_TRUE(PackedFile::Open(copy));
  struct stat info;
  ASSERT_EQ(fstat(copy.get(), &info), 0);
  EXPECT_EQ(info.st_mtim.tv_sec, sample_.sealed.header().written_unix_s);
  EXPECT_EQ(info.st_mtim.tv_nsec, 0);
}

TEST_F(PackedFileTest, OtherKindsOfFilesAreRefused) {
  const Descriptor folder(open("/tmp", O_RDONLY | O_DIRECTORY));
  EXPECT_FALSE(ReadPackedHeader(folder.get()));
  const Descriptor device(open("/dev/zero", O_RDONLY));
  EXPECT_FALSE(ReadPackedHeader(device.get()));
  EXPECT_FALSE(ReadPackedHeader(NewFile(std::string(5000, '\0')).get()));
  std::string other = content_;
  other[8] = 2;
  const auto header = ReadPackedHeader(NewFile(other).get());
  ASSERT_FALSE(header);
  EXPECT_NE(header.error().message().find("version 2"), std::string::npos);
}

TEST_F(PackedFileTest, ManyPiecesFit) {
  const Descriptor file = NewFile();
  auto writer = PackedWriter::Create(file, "k", "m", std::vector<PackedPiece>(20000, {64, 0}));
  ASSERT_TRUE(writer);
  std::memset(writer->data(), 7, 20000 * 64);
  ASSERT_TRUE(std::move(*writer).Seal(pool_));
  const auto opened = PackedFile::Open(file);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->header().pieces.size(), 20000u);
  EXPECT_TRUE(opened->VerifyData());
}

}  // namespace
}  // namespace lamina::format
