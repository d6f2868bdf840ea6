#include "store/library.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "format/gguf_writer.h"
#include "store/lock.h"
#include "store/manifest.h"
#include "store/sha256.h"

namespace lamina::store {
namespace {

namespace fs = std::filesystem;

class LibraryTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "lamina_library_" + std::to_string(getpid());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string PutModel(const std::string& name, const std::string& architecture = "llama") const {
    format::GgufWriter writer;
    writer.Set("general.architecture", architecture);
    writer.Set("general.license", std::string("mit"));
    writer.Set(architecture + ".block_count", uint64_t{3});
    writer.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
    writer.AddTensor("w", *quant::FindType("F32"), {4, 8});
    const std::vector<uint8_t> zeros(4 * 8 * 4);
    EXPECT_TRUE(
        writer.Write(root_ + "/" + name, [&](size_t) -> Result<Bytes> { return Bytes(zeros); }));
    return root_ + "/" + name;
  }

  // A model as a pull leaves it.
  void Install(const std::string& name, const std::string& content) const {
    const Layout layout(library_.folder());
    for (const auto& folder : {layout.blobs, layout.manifests, layout.sets}) {
      ASSERT_TRUE(MakeFolders(folder));
    }
    ModelInfo info{};
    info.name = name;
    info.source = "test";
    const std::string digest = Sha256Of(content);
    info.files = {{layout.BlobPath(digest), content.size(), digest}};
    info.path = info.files[0].path;
    ASSERT_TRUE(WriteFileAtomically(info.path, content));
    ASSERT_TRUE(WriteManifest(layout, info));
  }
  size_t CountBlobs() const {
    const Layout layout(library_.folder());
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(layout.blobs), fs::directory_iterator()));
  }

  std::string root_;
  Library library_{testing::TempDir() + "lamina_library_" + std::to_string(getpid()) + "/data"};
};

TEST_F(LibraryTest, ImportsInPlace) {
  const std::string path = PutModel("My model.gguf");
  const auto info = library_.Import(path, "");
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->name, "My-model:latest");
  EXPECT_EQ(info->path, fs::canonical(path));
  EXPECT_TRUE(info->is_in_place);
  EXPECT_EQ(*library_.Resolve("My-model"), info->path);
  const auto details = library_.Show("My-model");
  ASSERT_TRUE(details) << details.error().message();
  EXPECT_EQ(details->architecture, "llama");
  EXPECT_EQ(details->type, "F32");
  EXPECT_EQ(details->n_parameters, 32u);
  EXPECT_EQ(details->n_layers, 3u);
  EXPECT_EQ(details->n_vocab, 2u);
  EXPECT_EQ(details->info.licence, "mit");
  EXPECT_FALSE(details->has_chat_template);
  ASSERT_TRUE(library_.Remove("My-model"));
  EXPECT_TRUE(fs::exists(path));
  EXPECT_EQ(library_.Resolve("My-model").error().code(), Code::kNotFound);
}

TEST_F(LibraryTest, ImportRefusesWhatIsNoModel) {
  ASSERT_TRUE(WriteFileAtomically(root_ + "/bad.gguf", "not a model"));
  EXPECT_EQ(library_.Import(root_ + "/bad.gguf", "").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(library_.Import(root_ + "/absent.gguf", "").error().code(), Code::kNotFound);
  EXPECT_FALSE(library_.Import("/etc/passwd", ""));
  EXPECT_FALSE(library_.Import(PutModel("a.gguf"), "../../x"));
  EXPECT_TRUE(library_.List()->empty());
  ASSERT_TRUE(library_.Import(PutModel("a.gguf"), "m"));
  EXPECT_EQ(library_.Import(PutModel("b.gguf"), "m").error().code(), Code::kAlreadyExists);
}

TEST_F(LibraryTest, NoticesThatAnImportedFileChanged) {
  const std::string path = PutModel("a.gguf");
  ASSERT_TRUE(library_.Import(path, "m"));
  fs::resize_file(path, 10);
  EXPECT_EQ(library_.Resolve("m").error().code(), Code::kFailedPrecondition);
  fs::remove(path);
  const auto resolved = library_.Resolve("m");
  EXPECT_EQ(resolved.error().code(), Code::kNotFound);
  EXPECT_NE(resolved.error().message().find("gone"), std::string::npos);
}

TEST_F(LibraryTest, CopiesShareBlobsUntilTheLastIsRemoved) {
  Install("a:1", "content of a");
  Install("b:1", "content of b");
  ASSERT_TRUE(library_.Copy("a:1", "c"));
  EXPECT_EQ(library_.Copy("a:1", "b:1").error().code(), Code::kAlreadyExists);
  EXPECT_EQ(library_.Copy("x", "y").error().code(), Code::kNotFound);
  EXPECT_FALSE(library_.Copy("a:1", "../x"));
  EXPECT_EQ(library_.List()->size(), 3u);
  EXPECT_EQ(CountBlobs(), 2u);
  ASSERT_TRUE(library_.Remove("a:1"));
  EXPECT_EQ(CountBlobs(), 2u);
  EXPECT_TRUE(library_.Resolve("c"));
  ASSERT_TRUE(library_.Remove("c"));
  EXPECT_EQ(CountBlobs(), 1u);
  EXPECT_EQ(library_.Remove("c").error().code(), Code::kNotFound);
}

TEST_F(LibraryTest, ResolvesShortNamesWhereTheyAreUnique) {
  Install("m:q4", "1");
  EXPECT_TRUE(library_.Resolve("m"));
  Install("m:q8", "2");
  const auto resolved = library_.Resolve("m");
  EXPECT_EQ(resolved.error().code(), Code::kInvalidArgument);
  EXPECT_NE(resolved.error().message().find("m:q4 or m:q8"), std::string::npos);
  Install("m:latest", "3");
  EXPECT_TRUE(library_.Resolve("m"));
}

TEST_F(LibraryTest, ResolvesPathsAndSaysWhatToDo) {
  const std::string path = PutModel("a.gguf");
  EXPECT_EQ(*library_.Resolve(path), path);
  EXPECT_EQ(library_.Show(path)->info.path, path);
  const auto message = [&](const std::string& name) {
    return library_.Resolve(name).error().message();
  };
  EXPECT_NE(message("smollm2").find("lamina pull smollm2:135m-instruct-q4_1"), std::string::npos);
  EXPECT_NE(message("../../etc/passwd").find("neither"), std::string::npos);
  EXPECT_NE(message(root_).find("config.json"), std::string::npos);
  EXPECT_FALSE(library_.Resolve("sha256:../x"));
  EXPECT_FALSE(library_.Resolve(""));
  EXPECT_FALSE(library_.Remove("../../etc/passwd"));
}

TEST_F(LibraryTest, DamageIsNamed) {
  Install("a:1", "content");
  const Layout layout(library_.folder());
  const std::string manifest = layout.manifests + "/a@1.json";
  const std::string good = *ReadFile(manifest, 10000);
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{\"version\": 1}"), std::string(),
        std::string(100000, '['), good.substr(0, good.size() / 2)}) {
    ASSERT_TRUE(WriteFileAtomically(manifest, bad));
    const auto resolved = library_.Resolve("a:1");
    ASSERT_FALSE(resolved) << bad.substr(0, 20);
    EXPECT_EQ(resolved.error().code(), Code::kDataLoss);
    EXPECT_NE(resolved.error().message().find("a@1.json"), std::string::npos);
    EXPECT_FALSE(library_.List());
  }
  ASSERT_TRUE(WriteFileAtomically(manifest, good));
  ASSERT_TRUE(WriteFileAtomically(layout.BlobPath(Sha256Of("content")), "conten"));
  EXPECT_EQ(library_.Resolve("a:1").error().code(), Code::kDataLoss);
}

TEST(FileLock, IsExclusiveAndCancellable) {
  const std::string path = testing::TempDir() + "lamina_lock_" + std::to_string(getpid());
  {
    const auto first = FileLock::Acquire(path, [] { return true; });
    ASSERT_TRUE(first);
    int n_waits = 0;
    const auto second = FileLock::Acquire(path, [&] { return ++n_waits < 3; });
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kCancelled);
    EXPECT_EQ(n_waits, 3);
  }
  EXPECT_TRUE(FileLock::Acquire(path, [] { return false; }));
  unlink(path.c_str());
}

}  // namespace
}  // namespace lamina::store
