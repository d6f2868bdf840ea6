// Mappings, whole reads and atomic writes, on the files that are not plain ones too.
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace lamina {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lamina_file_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

  std::string folder_;
};

TEST_F(FileTest, MapsAFileAndMovesTheMapping) {
  const std::string content(10000, 'x');
  auto file = MappedFile::Open(Write("a", content + "end"));
  ASSERT_TRUE(file);
  MappedFile moved = std::move(*file);
  ASSERT_EQ(moved.bytes().size(), 10003u);
  EXPECT_EQ(moved.bytes()[10002], 'd');
  EXPECT_TRUE(file->bytes().empty());
  MappedFile assigned;
  assigned = std::move(moved);
  EXPECT_EQ(assigned.bytes().size(), 10003u);
}

TEST_F(FileTest, DroppedPagesReadTheSameAgain) {
  std::string content;
  for (int i = 0; i < 20000; ++i) content += static_cast<char>(i * 7);
  auto file = MappedFile::Open(Write("a", content));
  ASSERT_TRUE(file);
  file->DropPages(1, 19000);
  file->DropPages(19999, 1);
  file->DropPages(30000, 1);
  file->DropPages(1, UINT64_MAX);
  EXPECT_EQ(std::string(file->bytes().begin(), file->bytes().end()), content);
}

TEST_F(FileTest, WhatCannotBeMappedIsNamed) {
  const auto missing = MappedFile::Open(Path("missing"));
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_NE(missing.status().message().find(Path("missing")), std::string::npos);
  EXPECT_EQ(MappedFile::Open(folder_).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(MappedFile::Open(Write("empty", "")).status().code(), Code::kInvalidArgument);
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::Open(Path("pipe")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(MappedFile::Open(Write("a", "x") + "/b").status().code(), Code::kNotFound);
}

TEST_F(FileTest, ReadsWholeFilesUpToTheLimit) {
  const std::string content(200000, 'y');
  const std::string path = Write("a", content);
  EXPECT_EQ(ReadFile(path, 200000).value(), content);
  EXPECT_EQ(ReadFile(path, 199999).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(ReadFile(Write("empty", ""), 0).value(), "");
  EXPECT_EQ(ReadFile(folder_, 10).status().code(), Code::kInvalidArgument);
}

TEST_F(FileTest, AtomicWriteReplacesAndLeavesNothingBehind) {
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "one"));
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "two"));
  EXPECT_EQ(ReadFile(Path("a"), 100).value(), "two");
  EXPECT_EQ(WriteFileAtomically(Path("no/such/folder"), "x").status().code(), Code::kNotFound);
  ASSERT_TRUE(MakeFolders(Path("folder")));
  EXPECT_FALSE(WriteFileAtomically(Path("folder"), "x"));
  int n_entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_)) ++n_entries;
  EXPECT_EQ(n_entries, 2);
}

TEST_F(FileTest, AReaderSeesTheOldOrTheNewContentWhole) {
  const std::string old_content(50000, 'o'), new_content(70000, 'n');
  ASSERT_TRUE(WriteFileAtomically(Path("a"), old_content));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      if (!WriteFileAtomically(Path("a"), i % 2 ? old_content : new_content)) return;
    }
  });
  for (int i = 0; i < 200; ++i) {
    const auto content = ReadFile(Path("a"), 1 << 20);
    EXPECT_TRUE(content && (*content == old_content || *content == new_content));
  }
  stop = true;
  writer.join();
}

TEST_F(FileTest, MakesFoldersOnceAndAgain) {
  ASSERT_TRUE(MakeFolders(Path("a/b/c")));
  ASSERT_TRUE(MakeFolders(Path("a/b/c")));
  EXPECT_TRUE(fs::is_directory(Path("a/b/c")));
  EXPECT_FALSE(MakeFolders(Write("file", "x") + "/below"));
}

TEST(ErrnoStatus, SaysWhatWasDoneToWhat) {
  const Status status = ErrnoStatus(ENOSPC, "write", "blob");
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_EQ(status.message(), "cannot write blob: No space left on device");
  EXPECT_EQ(ErrnoStatus(EACCES, "open", "x").code(), Code::kPermissionDenied);
}

TEST(RemoveLeftovers, TakesOnlyTemporaryFilesOfThatPath) {
  const std::string folder = testing::TempDir() + "lamina_leftovers_" + std::to_string(getpid());
  ASSERT_TRUE(MakeFolders(folder));
  const std::vector<std::string> kept = {"a", "a.json", "a.json.x", "a.json.b.cdef",
                                         "b.json.abcdef"};
  for (const std::string& name : kept) ASSERT_TRUE(WriteFileAtomically(folder + "/" + name, "x"));
  ASSERT_TRUE(WriteFileAtomically(folder + "/a.json.abcdef", "x"));
  RemoveLeftovers(folder + "/a.json");
  EXPECT_FALSE(ReadFile(folder + "/a.json.abcdef", 10));
  for (const std::string& name : kept) EXPECT_TRUE(ReadFile(folder + "/" + name, 10)) << name;
  std::filesystem::remove_all(folder);
}

TEST(AtomicFile, AppearsWholeOrNotAtAll) {
  const std::string path = testing::TempDir() + "lamina_atomic_" + std::to_string(getpid());
  const std::string_view text = "content";
  const Bytes bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  {
    AtomicFile file = *AtomicFile::Create(path);
    ASSERT_TRUE(file.Write(bytes));
  }
  EXPECT_FALSE(ReadFile(path, 100));
  AtomicFile file = *AtomicFile::Create(path);
  ASSERT_TRUE(file.Write(bytes));
  ASSERT_TRUE(file.Write(bytes));
  EXPECT_FALSE(ReadFile(path, 100));
  ASSERT_TRUE(file.Commit());
  EXPECT_EQ(*ReadFile(path, 100), "contentcontent");
  std::filesystem::remove(path);
  EXPECT_EQ(AtomicFile::Create("/nonexistent/x").error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace lamina
