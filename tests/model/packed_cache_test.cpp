// Loads through the cache of packed weights equal loads without, whatever lies in the cache.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <map>

#include "model/loaded.h"
#include "quant/fingerprint.h"
#include "store/weight_cache.h"
#include "support.h"

namespace lamina::model::test {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kBudget = uint64_t{1} << 30;

class PackedCacheTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "lamina_packed_" + std::to_string(getpid());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  store::WeightCache Cache() const { return store::WeightCache(folder_, "", kBudget); }

  // Logits of a load through the cache, and whether it packed anything.
  std::vector<float> Through(const std::string& path, ThreadPool& pool, bool* packed) {
    store::WeightCache cache = Cache();
    LoadOptions options;
    options.packed_store = &cache;
    *packed = false;
    options.on_packing = [&](uint64_t done, uint64_t total) {
      EXPECT_LE(done, total);
      *packed = true;
    };
    const auto model = LoadModel(path, pool, options);
    EXPECT_TRUE(cache.problem().ok()) << cache.problem().message();
    return Logits(*model, pool, Ids(*model), {5, 1, 3});
  }

  std::vector<float> Without(const std::string& path, ThreadPool& pool) {
    const auto model = LoadModel(path, pool);
    return Logits(*model, pool, Ids(*model), {5, 1, 3});
  }

  static std::vector<int32_t> Ids(const Model& model) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 12; ++i) {
      ids.push_back(static_cast<int32_t>((i * 37 + 5) % model.spec().n_vocab));
    }
    return ids;
  }

  static bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }

  std::string folder_;
  ThreadPool two_{2}, three_{3};
};

TEST_P(PackedCacheTest, LogitsAreThoseOfALoadWithout) {
  for (const char* format : {"/model.gguf", "/hf"}) {
    const std::string path = FamilyFolder(GetParam()) + format;
    if (!fs::exists(path)) continue;
    const std::vector<float> expected = Without(path, two_);
    bool packed = false;
    EXPECT_TRUE(SameBits(Through(path, two_, &packed), expected)) << path;
    EXPECT_TRUE(packed);
    // Another number of threads reads the same file.
    EXPECT_TRUE(SameBits(Through(path, three_, &packed), expected)) << path;
    EXPECT_FALSE(packed) << "the second load packed again: " << path;
  }
}

TEST_P(PackedCacheTest, AnyThreadsWriteTheSameBytes) {
  const std::string path = FamilyFolder(GetParam()) + "/model.gguf";
  std::vector<std::string> contents;
  for (ThreadPool* pool : {&two_, &three_}) {
    bool packed = false;
    Through(path, *pool, &packed);
    ASSERT_TRUE(packed);
    const auto files = Cache().List();
    ASSERT_EQ(files.size(), 1u);
    contents.push_back(*ReadFile(files[0].path, kBudget));
    EXPECT_TRUE(store::WeightCache::Verify(files[0]));
    fs::remove_all(folder_);
  }
  // All but the time of writing and the header's checksum.
  for (std::string& content : contents) content.replace(40, 16, 16, '\0');
  EXPECT_TRUE(contents[0] == contents[1]);
}

INSTANTIATE_TEST_SUITE_P(Families, PackedCacheTest, testing::ValuesIn(FamilyNames()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class PackedCacheFaultTest : public PackedCacheTest {};

TEST_F(PackedCacheFaultTest, DamageIsPackedAnew) {
  const std::string path = FamilyFolder("llama") + "/model.gguf";
  const std::vector<float> expected = Without(path, two_);
  bool packed = false;
  Through(path, two_, &packed);
  const std::string file = Cache().List()[0].path;
  const std::string content = *ReadFile(file, kBudget);
  for (size_t i = 3; i < content.size(); i += content.size() / 40) {
    std::string changed = content;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    ASSERT_TRUE(WriteFileAtomically(file, changed));
    EXPECT_TRUE(SameBits(Through(path, two_, &packed), expected)) << i;
    EXPECT_TRUE(packed) << i;
    ASSERT_TRUE(WriteFileAtomically(file, content.substr(0, i)));
    EXPECT_TRUE(SameBits(Through(path, two_, &packed), expected)) << i;
    EXPECT_TRUE(packed) << i;
  }
}

// A file with the right key and other pieces, as only somebody hostile makes it.
TEST_F(PackedCacheFaultTest, ForeignGeometryIsNotUsed) {
  const std::string path = FamilyFolder("llama") + "/model.gguf";
  const std::vector<float> expected = Without(path, two_);
  bool packed = false;
  Through(path, two_, &packed);
  const std::string file = Cache().List()[0].path;
  std::string key, model_path;
  std::vector<format::PackedPiece> pieces;
  {
    const Descriptor fd(open(file.c_str(), O_RDONLY));
    const auto header = format::ReadPackedHeader(fd.get());
    ASSERT_TRUE(header);
    key = header->key;
    model_path = header->model_path;
    pieces = header->pieces;
  }
  const auto put = [&](const std::vector<format::PackedPiece>& forged) {
    fs::remove(file);
    const Descriptor fd(open(file.c_str(), O_RDWR | O_CREAT, 0644));
    auto writer = format::PackedWriter::Create(fd, key, model_path, forged);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(std::move(*writer).Seal(two_));
  };
  auto forged = pieces;
  forged.pop_back();
  put(forged);
  EXPECT_TRUE(SameBits(Through(path, two_, &packed), expected));
  EXPECT_TRUE(packed);
  forged = pieces;
  std::swap(forged[1], forged[2]);
  forged[1].n_bytes += 64;
  put(forged);
  EXPECT_TRUE(SameBits(Through(path, two_, &packed), expected));
  put({});
  EXPECT_TRUE(SameBits(Through(path, two_, &packed), expected));
  // Right sizes and wrong bytes: wrong numbers, and no crash.
  put(pieces);
  EXPECT_FALSE(SameBits(Through(path, two_, &packed), expected));
  EXPECT_FALSE(packed);
}

// A disk that takes no file of this size: the load goes on without.
TEST_F(PackedCacheFaultTest, AFullDiskIsAProblemAndNoError) {
  const std::string path = FamilyFolder("llama") + "/model.gguf";
  const std::vector<float> expected = Without(path, two_);
  rlimit saved;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &saved), 0);
  const rlimit small = {8192, saved.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  store::WeightCache cache = Cache();
  LoadOptions options;
  options.packed_store = &cache;
  const auto model = LoadModel(path, two_, options);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &saved), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_FALSE(cache.problem().ok());
  EXPECT_TRUE(NamesIn(folder_).empty());
  EXPECT_TRUE(SameBits(Logits(*model, two_, Ids(*model), {5, 1, 3}), expected));
}

TEST_F(PackedCacheFaultTest, ADisagreeingPackingIsAnotherContent) {
  const auto source = format::ModelSource::Open(FamilyFolder("llama") + "/model.gguf");
  ASSERT_TRUE(source);
  format::Tensor tensor = (*source)->tensors()[0];
  const auto describe = [&](const MatrixPlan& plan) {
    return DescribeContent({{.matrix = &plan, .n_bytes = 64}});
  };
  MatrixPlan plan{&tensor, 0, 16, {}, {}};
  const std::string content = describe(plan);
  EXPECT_EQ(describe(plan), content);
  plan.row_order = {1, 0};
  const std::string reordered = describe(plan);
  EXPECT_NE(reordered, content);
  plan.row_order = {0, 1};
  EXPECT_NE(describe(plan), reordered);
  plan.row_order.clear();
  plan.row_begin = 1;
  EXPECT_NE(describe(plan), content);
  plan.row_begin = 0;
  // The same type, packed in another way: a layout that was changed in a later version.
  quant::TypeInfo changed = *tensor.type;
  changed.pack_panel = [](const uint8_t* const*, int64_t, uint8_t* panel) noexcept {
    panel[0] = 1;
  };
  tensor.type = &changed;
  EXPECT_NE(describe(plan), content);
}

// Types of equally large blocks may be packed alike: F16 and BF16, Q4_0 and IQ4_NL.
TEST(PackingFingerprint, TellsPackingsApart) {
  std::map<uint64_t, uint32_t> block_bytes;
  for (const quant::TypeInfo& type : quant::Types()) {
    const uint64_t fingerprint = quant::PackingFingerprint(type);
    EXPECT_EQ(quant::PackingFingerprint(type), fingerprint) << type.name;
    const auto [entry, is_new] = block_bytes.emplace(fingerprint, type.block_bytes);
    EXPECT_EQ(entry->second, type.block_bytes) << type.name;
  }
}

}  // namespace
}  // namespace lamina::model::test
