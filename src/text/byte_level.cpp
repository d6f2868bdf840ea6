#include "text/byte_level.h"

#include <array>

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
  for (size_t pos = 0; pos < text.size(); ++pos) {
    // The alphabet lies below U+0180: one byte of UTF-8, or two.
    uint32_t code_point = static_cast<uint8_t>(text[pos]);
    if (code_point >= 0x80) {
      const bool has_two = code_point >= 0xC2 && code_point < 0xC6 && pos + 1 < text.size() &&
                           (static_cast<uint8_t>(text[pos + 1]) & 0xC0) == 0x80;
      if (!has_two) return std::nullopt;
      code_point = (code_point & 0x1F) << 6 | (static_cast<uint8_t>(text[++pos]) & 0x3F);
    }
    if (code_point >= kVisible || table[code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(table[code_point]));
  }
  return bytes;
}

}  // namespace lamina::text
