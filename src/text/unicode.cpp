#include "text/unicode.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

namespace lamina::text {
namespace {

constexpr uint32_t kRanges[] = {
#include "text/unicode_ranges.inc"
};
constexpr uint32_t kAlternating = 7;
constexpr uint32_t kPageBits = 8;
constexpr uint32_t kPageSize = 1 << kPageBits;
constexpr uint32_t kCodePoints = 0x110000;

/// A class per code point in pages of 256; pages of one class are shared.
struct ClassTable {
  std::array<uint16_t, kCodePoints / kPageSize> page_of;
  std::vector<std::array<CharClass, kPageSize>> pages;

  ClassTable() {
    std::array<int, 8> uniform_page;
    uniform_page.fill(-1);
    size_t range = 0;
    for (uint32_t page = 0; page < page_of.size(); ++page) {
      std::array<CharClass, kPageSize> content;
      for (uint32_t i = 0; i < kPageSize; ++i) {
        const uint32_t code_point = page * kPageSize + i;
        while (range + 1 < std::size(kRanges) && kRanges[range + 1] >> 3 <= code_point) ++range;
        uint32_t c = kRanges[range] & 7;
        if (c == kAlternating) {
          const bool upper = (code_point - (kRanges[range] >> 3)) % 2 == 0;
          c = static_cast<uint32_t>(upper ? CharClass::kUpper : CharClass::kLower);
        }
        content[i] = static_cast<CharClass>(c);
      }
      const bool uniform =
          std::all_of(content.begin(), content.end(), [&](CharClass c) { return c == content[0]; });
      int& shared = uniform_page[static_cast<size_t>(content[0])];
      if (!uniform || shared < 0) {
        if (uniform) shared = static_cast<int>(pages.size());
        page_of[page] = static_cast<uint16_t>(pages.size());
        pages.push_back(content);
      } else {
        page_of[page] = static_cast<uint16_t>(shared);
      }
    }
  }
};

bool IsContinuation(std::string_view text, size_t pos, uint8_t low = 0x80, uint8_t high = 0xBF) {
  if (pos >= text.size()) return false;
  const auto byte = static_cast<uint8_t>(text[pos]);
  return byte >= low && byte <= high;
}

}  // namespace

CharClass ClassOfNonAscii(char32_t code_point) {
  static const ClassTable table;
  if (code_point >= kCodePoints) return CharClass::kOther;
  return table.pages[table.page_of[code_point >> kPageBits]][code_point & (kPageSize - 1)];
}

Utf8Char DecodeUtf8Sequence(std::string_view text, size_t pos) {
  const auto first = static_cast<uint8_t>(text[pos]);
  uint32_t n_bytes = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  char32_t code_point = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    n_bytes = 2;
    code_point = first & 0x1F;
  } else if (first >= 0xE0 && first <= 0xEF) {
    n_bytes = 3;
    code_point = first & 0x0F;
    if (first == 0xE0) low = 0xA0;   // shorter forms exist
    if (first == 0xED) high = 0x9F;  // surrogates
  } else if (first >= 0xF0 && first <= 0xF4) {
    n_bytes = 4;
    code_point = first & 0x07;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;  // above U+10FFFF
  } else {
    return {0xFFFD, 1, false};
  }
  for (uint32_t i = 1; i < n_bytes; ++i) {
    if (!IsContinuation(text, pos + i, low, high)) return {0xFFFD, i, false};
    code_point = code_point << 6 | (static_cast<uint8_t>(text[pos + i]) & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, n_bytes, true};
}

void AppendUtf8(std::string& text, char32_t c) {
  const auto append = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    append(c);
  } else if (c < 0x800) {
    append(0xC0 | c >> 6);
    append(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    append(0xE0 | c >> 12);
    append(0x80 | (c >> 6 & 0x3F));
    append(0x80 | (c & 0x3F));
  } else {
    append(0xF0 | c >> 18);
    append(0x80 | (c >> 12 & 0x3F));
    append(0x80 | (c >> 6 & 0x3F));
    append(0x80 | (c & 0x3F));
  }
}

bool IsValidUtf8(std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (!c.valid) return false;
    pos += c.n_bytes;
  }
  return true;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (c.valid) {
      result.append(text.substr(pos, c.n_bytes));
    } else {
      AppendUtf8(result, 0xFFFD);
    }
    pos += c.n_bytes;
  }
  return result;
}

size_t UnfinishedUtf8Bytes(std::string_view text) {
  for (size_t n = 1; n <= std::min<size_t>(3, text.size()); ++n) {
    const auto byte = static_cast<uint8_t>(text[text.size() - n]);
    if (byte < 0x80) return 0;
    if (byte < 0xC0) continue;
    const Utf8Char c = DecodeUtf8(text, text.size() - n);
    const uint32_t n_needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    return !c.valid && c.n_bytes == n && n < n_needed && byte >= 0xC2 && byte <= 0xF4 ? n : 0;
  }
  return 0;
}

}  // namespace lamina::text
