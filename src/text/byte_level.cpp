#include "text/byte_level.h"

#include <array>

#include "text/unicode.h"

namespace lamina::text {
namespace {

constexpr size_t kVisible = 256 + 68;  // 68 bytes are not visible and are written as U+0100 and up

/// code point -> byte; -1 outside the alphabet.
std::array<int16_t, kVisible> MakeTable() {
  std::array<int16_t, kVisible> table;
  table.fill(-1);
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool visible =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    table[visible ? static_cast<char32_t>(byte) : next++] = static_cast<int16_t>(byte);
  }
  return table;
}

}  // namespace

std::optional<std::string> BytesOfVisible(std::string_view text) {
  static const std::array<int16_t, kVisible> table = MakeTable();
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (!c.valid || c.code_point >= kVisible || table[c.code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(table[c.code_point]));
    pos += c.n_bytes;
  }
  return bytes;
}

}  // namespace lamina::text
