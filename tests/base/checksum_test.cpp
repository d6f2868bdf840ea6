#include "base/checksum.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace lamina {
namespace {

uint64_t Of(std::string_view text) {
  return Checksum({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

// Values of the reference implementation.
TEST(Checksum, EqualsXxh64) {
  EXPECT_EQ(Of(""), 0xEF46DB3751D8E999);
  EXPECT_EQ(Of("a"), 0xD24EC4F1A98C6E5B);
  EXPECT_EQ(Of("abc"), 0x44BC2CF5AD770999);
  EXPECT_EQ(Of("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1);
}

TEST(Checksum, SeesEveryBitOfEveryLength) {
  for (size_t n = 1; n < 100; ++n) {
    std::string text(n, 'x');
    const uint64_t sum = Of(text);
    EXPECT_NE(Of(text.substr(1)), sum);
    for (size_t i = 0; i < n; ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        text[i] = static_cast<char>(text[i] ^ 1 << bit);
        EXPECT_NE(Of(text), sum) << n << " " << i << " " << bit;
        text[i] = static_cast<char>(text[i] ^ 1 << bit);
      }
    }
  }
}

}  // namespace
}  // namespace lamina
