#include "store/part_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace lamina::store {
namespace {

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class PartFileTest : public testing::Test {
 protected:
  void SetUp() override { PartFile::Discard(path_); }
  void TearDown() override { PartFile::Discard(path_); }
  const std::string path_ = testing::TempDir() + "lamina_part_" + std::to_string(getpid());
};

TEST_F(PartFileTest, GoesOnWithTheSameVersion) {
  {
    PartFile part = *PartFile::Open(path_, "u");
    ASSERT_TRUE(part.StartOver("\"v1\"", 6, std::nullopt));
    ASSERT_TRUE(part.Append(AsBytes("abc")));
  }
  PartFile part = *PartFile::Open(path_, "u");
  EXPECT_TRUE(part.CanGoOn());
  EXPECT_EQ(part.n_bytes(), 3u);
  ASSERT_TRUE(part.GoOn(ContentRange{3, 5, 6}, "\"v1\""));
  ASSERT_TRUE(part.Append(AsBytes("def")));
  ASSERT_TRUE(part.Finish(6));
  EXPECT_EQ(*ReadFile(path_, 100), "abcdef");
}

TEST_F(PartFileTest, BeginsAnewForAnotherFile) {
  const auto leave_part = [&](const char* etag, std::optional<uint64_t> total) {
    PartFile part = *PartFile::Open(path_, "other");
    ASSERT_TRUE(part.StartOver(etag, total, std::nullopt));
    ASSERT_TRUE(part.Append(AsBytes("abc")));
  };
  leave_part("\"v1\"", 6);
  EXPECT_EQ(PartFile::Open(path_, "u")->n_bytes(), 0u);  // another URL
  leave_part("", 6);
  EXPECT_EQ(PartFile::Open(path_, "other")->n_bytes(), 0u);  // no etag
  leave_part("\"v1\"", std::nullopt);
  EXPECT_EQ(PartFile::Open(path_, "other")->n_bytes(), 0u);  // no length
  leave_part("\"v1\"", 6);
  ASSERT_TRUE(WriteFileAtomically(path_ + ".json", "{\"url\": [1]}"));
  EXPECT_EQ(PartFile::Open(path_, "other")->n_bytes(), 0u);  // a damaged memory
  leave_part("\"v1\"", 6);
  for (const auto& [range, etag] : std::vector<std::pair<std::optional<ContentRange>, const char*>>{
           {ContentRange{2, 5, 6}, "\"v1\""},
           {ContentRange{3, 6, 7}, "\"v1\""},
           {ContentRange{3, 5, 6}, "\"v2\""},
           {std::nullopt, "\"v1\""}}) {
    leave_part("\"v1\"", 6);
    PartFile part = *PartFile::Open(path_, "other");
    const auto gone_on = part.GoOn(range, etag);
    ASSERT_FALSE(gone_on);
    EXPECT_EQ(gone_on.error().code(), Code::kAborted);
    EXPECT_EQ(part.n_bytes(), 0u);
  }
}

TEST_F(PartFileTest, RefusesOtherLengths) {
  PartFile part = *PartFile::Open(path_, "u");
  EXPECT_EQ(part.StartOver("", 7, 6).error().code(), Code::kDataLoss);
  ASSERT_TRUE(part.StartOver("", std::nullopt, 6));
  ASSERT_TRUE(part.Append(AsBytes("abcdef")));
  EXPECT_EQ(part.Append(AsBytes("g")).error().code(), Code::kDataLoss);
  EXPECT_EQ(part.StartOver("", uint64_t{1} << 62, std::nullopt).error().code(),
            Code::kResourceExhausted);
}

TEST(ContentRange, Parses) {
  const auto range = ParseContentRange("bytes 3-5/6");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 3u);
  EXPECT_EQ(range->last, 5u);
  EXPECT_EQ(range->total, 6u);
  EXPECT_FALSE(ParseContentRange("bytes 3-5/*")->total);
  for (const char* value : {"", "bytes", "bytes 5-3/6", "bytes -5/6", "bytes 3-/6", "bytes 3/6-5",
                            "items 1-2/3", "bytes 1-99999999999999999999/3"}) {
    EXPECT_FALSE(ParseContentRange(value)) << value;
  }
}

}  // namespace
}  // namespace lamina::store
