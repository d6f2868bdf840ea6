#include "store/weight_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "format/gguf_writer.h"
#include "store/manifest.h"
#include "store/sha256.h"

namespace lamina::store {
namespace {

namespace fs = std::filesystem;
using State = CachedWeights::State;

constexpr uint64_t kBytes = 256 << 10;
constexpr uint64_t kBudget = 10 * kBytes;

class WeightCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "lamina_cache_" + std::to_string(getpid());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string PutModel(const std::string& path, const std::string& licence = "mit") const {
    format::GgufWriter writer;
    writer.Set("general.license", licence);
    writer.AddTensor("w", *quant::FindType("F32"), {4, 8});
    const std::vector<uint8_t> zeros(4 * 8 * 4);
    EXPECT_TRUE(writer.Write(path, [&](size_t) -> Result<Bytes> { return Bytes(zeros); }));
    return path;
  }

  static std::unique_ptr<const format::ModelSource> Source(const std::string& path) {
    auto source = format::ModelSource::Open(path);
    EXPECT_TRUE(source) << source.error().message();
    return std::move(*source);
  }

  // Fills the cache with what stands for a model's packed weights.
  Result<format::PackedFile> Put(WeightCache& cache, const std::string& path,
                                 const std::string& content = "content",
                                 uint64_t n_bytes = kBytes) {
    const auto source = Source(path);
    auto writer = TRY(cache.Create(*source, content, {{n_bytes, 0}}));
    std::memset(writer.data(), 42, n_bytes);
    return cache.Finish(std::move(writer), pool_);
  }

  static bool Has(WeightCache& cache, const std::string& path,
                  const std::string& content = "content") {
    return cache.Open(*Source(path), content).has_value();
  }

  // As if it had been used that long ago.
  static void Age(const CachedWeights& file, int64_t seconds) {
    const timespec times[2] = {{file.last_used_unix_s - seconds, 0}, {0, UTIME_OMIT}};
    ASSERT_EQ(utimensat(AT_FDCWD, file.path.c_str(), times, 0), 0);
  }

  std::string root_;
  ThreadPool pool_{2};
  WeightCache Cache(uint64_t budget_bytes = kBudget) const {
    return WeightCache(root_ + "/cache", root_ + "/library", budget_bytes);
  }
};

TEST_F(WeightCacheTest, FindsWhatWasPut) {
  const std::string path = PutModel(root_ + "/a.gguf");
  WeightCache cache = Cache();
  EXPECT_EQ(cache.Open(*Source(path), "content").error().code(), Code::kNotFound);
  ASSERT_TRUE(Put(cache, path));
  EXPECT_TRUE(Has(cache, path));
  EXPECT_FALSE(Has(cache, path, "packed otherwise"));
  WeightCache other = Cache();  // As another process.
  EXPECT_TRUE(Has(other, path));
  EXPECT_TRUE(cache.problem().ok());
  ASSERT_EQ(cache.List().size(), 1u);
  EXPECT_EQ(cache.List()[0].model_path, fs::canonical(path));
  EXPECT_EQ(cache.List()[0].state, State::kGood);
  EXPECT_GE(cache.BytesOf(path), kBytes);
}

TEST_F(WeightCacheTest, AChangedModelIsAnotherOne) {
  const std::string path = PutModel(root_ + "/a.gguf");
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, path));
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  const timespec later[2] = {info.st_atim, {info.st_mtim.tv_sec, info.st_mtim.tv_nsec + 1}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), later, 0), 0);
  EXPECT_FALSE(Has(cache, path));
  EXPECT_EQ(cache.List()[0].state, State::kStale);
  ASSERT_TRUE(Put(cache, path));  // Takes the stale one's place.
  ASSERT_EQ(cache.List().size(), 1u);
  EXPECT_EQ(cache.List()[0].state, State::kGood);
}

TEST_F(WeightCacheTest, AChangedHeaderWithTimeAndSizeAsBeforeIsAnotherModel) {
  const std::string path = PutModel(root_ + "/a.gguf", "mit");
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, path));
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  const auto content = ReadFile(path, 1 << 20);
  const auto offset = static_cast<off_t>(content->find("mit"));
  const int fd = open(path.c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(fd, "bsd", 3, offset), 3);
  const timespec times[2] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(futimens(fd, times), 0);
  close(fd);
  EXPECT_FALSE(Has(cache, path));
}

TEST_F(WeightCacheTest, ABlobIsKnownByItsDigestAlone) {
  const Layout layout(root_ + "/library");
  ASSERT_TRUE(MakeFolders(layout.blobs));
  const std::string blob = PutModel(layout.BlobPath(Sha256Of("anything")));
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, blob));
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, blob.c_str(), times, 0), 0);
  EXPECT_TRUE(Has(cache, blob));
  EXPECT_EQ(cache.List()[0].state, State::kGood);
  // The same name elsewhere promises nothing.
  ASSERT_TRUE(MakeFolders(root_ + "/blobs"));
  const std::string other = root_ + "/blobs/" + fs::path(blob).filename().string();
  fs::copy_file(blob, other);
  EXPECT_FALSE(Has(cache, other));
}

TEST_F(WeightCacheTest, DamagedFilesAreReplaced) {
  const std::string path = PutModel(root_ + "/a.gguf");
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, path));
  const std::string file = cache.List()[0].path;
  fs::resize_file(file, fs::file_size(file) - 1);
  EXPECT_FALSE(Has(cache, path));
  EXPECT_EQ(cache.List()[0].state, State::kDamaged);
  EXPECT_FALSE(WeightCache::Verify(cache.List()[0]));
  ASSERT_TRUE(Put(cache, path));
  EXPECT_TRUE(Has(cache, path));
  EXPECT_TRUE(WeightCache::Verify(cache.List()[0]));
  ASSERT_EQ(cache.List().size(), 1u);
  // Links, folders and pipes with the right name are not followed, and do not block.
  fs::remove(file);
  fs::create_symlink("/dev/zero", file);
  EXPECT_FALSE(Has(cache, path));
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  EXPECT_FALSE(Has(cache, path));
  ASSERT_TRUE(Put(cache, path));
  EXPECT_TRUE(Has(cache, path));
}

TEST_F(WeightCacheTest, AFileOfAnotherKeyIsNotTaken) {
  const std::string a = PutModel(root_ + "/a.gguf"), b = PutModel(root_ + "/b.gguf", "bsd");
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, a));
  const std::string file = cache.List()[0].path;
  ASSERT_TRUE(Put(cache, b));
  std::string other = cache.List()[0].path;
  if (other == file) other = cache.List()[1].path;
  fs::rename(file, other);
  EXPECT_FALSE(Has(cache, b));
}

TEST_F(WeightCacheTest, TheOldestUsedMakeRoom) {
  WeightCache cache = Cache(3 * kBytes + kBytes / 2);
  std::vector<std::string> paths;
  for (const char* name : {"a", "b", "c"}) {
    paths.push_back(PutModel(root_ + "/" + name + ".gguf"));
    ASSERT_TRUE(Put(cache, paths.back()));
    for (const CachedWeights& file : cache.List()) Age(file, 100);
  }
  const int64_t last_used = cache.List()[0].last_used_unix_s;
  EXPECT_EQ(cache.List()[0].last_used_unix_s, last_used) << "looking counted as use";
  EXPECT_TRUE(Has(cache, paths[0]));  // Used again.
  paths.push_back(PutModel(root_ + "/d.gguf"));
  ASSERT_TRUE(Put(cache, paths[3]));
  EXPECT_TRUE(Has(cache, paths[0]));
  EXPECT_FALSE(Has(cache, paths[1]));
  EXPECT_TRUE(Has(cache, paths[2]));
  EXPECT_TRUE(Has(cache, paths[3]));
  uint64_t n_bytes = 0;
  for (const CachedWeights& file : cache.List()) n_bytes += file.bytes;
  EXPECT_LE(n_bytes, cache.budget_bytes());
}

TEST_F(WeightCacheTest, WhatExceedsTheBudgetIsNotKept) {
  const std::string path = PutModel(root_ + "/a.gguf");
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, path));
  EXPECT_FALSE(Put(cache, path, "larger", kBudget + 64));
  EXPECT_EQ(cache.problem().code(), Code::kResourceExhausted);
  EXPECT_TRUE(Has(cache, path));  // Nothing was removed for it.
}

TEST_F(WeightCacheTest, PartialFilesOfTheDeadGoAndOfTheLivingStay) {
  const std::string path = PutModel(root_ + "/a.gguf");
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, path));
  const std::string dead = cache.List()[0].path + ".abcdef";
  const std::string living = cache.List()[0].path + ".ghijkl";
  ASSERT_TRUE(WriteFileAtomically(dead, "half"));
  ASSERT_TRUE(WriteFileAtomically(living, "half"));
  const Descriptor writer(open(living.c_str(), O_RDWR));
  ASSERT_EQ(flock(writer.get(), LOCK_EX | LOCK_NB), 0);
  ASSERT_EQ(cache.List().size(), 2u);
  EXPECT_GT(cache.Prune(kBudget), 0u);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(living));
  EXPECT_TRUE(Has(cache, path));
}

TEST_F(WeightCacheTest, AnUnfinishedFileIsRemoved) {
  const std::string path = PutModel(root_ + "/a.gguf");
  {
    WeightCache cache = Cache();
    ASSERT_TRUE(cache.Create(*Source(path), "content", {{kBytes, 0}}));
    EXPECT_EQ(NamesIn(cache.folder()).size(), 1u);
    EXPECT_TRUE(cache.List().empty());  // It is being written.
  }
  EXPECT_TRUE(NamesIn(root_ + "/cache").empty());
}

TEST_F(WeightCacheTest, TwoWritersAtOnceBothSucceed) {
  const std::string path = PutModel(root_ + "/a.gguf");
  WeightCache one = Cache(), two = Cache();
  const auto source = Source(path);
  auto first = one.Create(*source, "content", {{kBytes, 0}});
  auto second = two.Create(*source, "content", {{kBytes, 0}});
  ASSERT_TRUE(first);
  ASSERT_TRUE(second) << second.error().message();
  ASSERT_TRUE(one.Finish(std::move(*first), pool_));
  ASSERT_TRUE(two.Finish(std::move(*second), pool_));
  EXPECT_TRUE(Has(one, path));
  EXPECT_EQ(NamesIn(one.folder()).size(), 1u);
}

TEST_F(WeightCacheTest, AFolderThatCannotBeMadeIsAProblemNotAnError) {
  ASSERT_TRUE(WriteFileAtomically(root_ + "/cache", "a file where the folder should be"));
  const std::string path = PutModel(root_ + "/a.gguf");
  WeightCache cache = Cache();
  EXPECT_FALSE(Has(cache, path));
  EXPECT_FALSE(Put(cache, path));
  EXPECT_FALSE(cache.problem().ok());
  EXPECT_TRUE(cache.List().empty());
}

TEST_F(WeightCacheTest, RemovesAModelsFilesAndNoOthers) {
  const std::string a = PutModel(root_ + "/a.gguf"), b = PutModel(root_ + "/b.gguf");
  WeightCache cache = Cache();
  ASSERT_TRUE(Put(cache, a));
  ASSERT_TRUE(Put(cache, a, "packed otherwise"));
  ASSERT_TRUE(Put(cache, b));
  fs::remove(a);  // Gone models have files too.
  EXPECT_GE(cache.RemoveModel(fs::canonical(root_).string() + "/a.gguf"), 2 * kBytes);
  EXPECT_EQ(cache.List().size(), 1u);
  EXPECT_TRUE(Has(cache, b));
  EXPECT_EQ(cache.BytesOf(a), 0u);
}

}  // namespace
}  // namespace lamina::store
