#include "cli/edit_buffer.h"

#include <algorithm>
#include <utility>

namespace lamina::cli {
namespace {

bool IsWordPart(char32_t c) {
  return c > 0x7f || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         c == '_';
}

struct CodeRange {
  char32_t first, last;
};

// Unicode East Asian Width W and F, and emoji, in blocks.
constexpr CodeRange kWide[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},  {0xa960, 0xa97c}, {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
// Combining marks, joiners and variation selectors, in blocks.
constexpr CodeRange kZero[] = {{0x0300, 0x036f}, {0x0483, 0x0489},  {0x0591, 0x05bd},
                               {0x064b, 0x065f}, {0x1ab0, 0x1aff},  {0x1dc0, 0x1dff},
                               {0x200b, 0x200f}, {0x20d0, 0x20ff},  {0xfe00, 0xfe0f},
                               {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};

template <size_t kN>
bool IsIn(const CodeRange (&ranges)[kN], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [=](const CodeRange& range) { return c >= range.first && c <= range.last; });
}

}  // namespace

int Columns(char32_t c) { return IsIn(kZero, c) ? 0 : IsIn(kWide, c) ? 2 : 1; }

std::u32string FromUtf8(std::string_view utf8) {
  std::u32string out;
  for (size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const size_t n = lead < 0x80   ? 1
                     : lead < 0xc2 ? 0
                     : lead < 0xe0 ? 2
                     : lead < 0xf0 ? 3
                     : lead < 0xf5 ? 4
                                   : 0;
    char32_t c = n == 1 ? lead : n == 0 ? 0 : lead & (0x7fu >> n);
    bool valid = n > 0 && i + n <= utf8.size();
    for (size_t j = 1; valid && j < n; ++j) {
      const auto next = static_cast<unsigned char>(utf8[i + j]);
      valid = (next & 0xc0) == 0x80;
      c = c << 6 | (next & 0x3f);
    }
    out.push_back(valid ? c : 0xfffd);
    i += valid ? n : 1;
  }
  return out;
}

std::string ToUtf8(std::u32string_view text) {
  std::string out;
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  for (char32_t c : text) {
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xc0 | c >> 6), put(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
      put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
    } else {
      put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 0x3f)), put(0x80 | (c >> 6 & 0x3f)),
          put(0x80 | (c & 0x3f));
    }
  }
  return out;
}

void EditBuffer::Insert(char32_t c) {
  text_.insert(text_.begin() + static_cast<long>(cursor_++), c);
}

void EditBuffer::Backspace() {
  if (cursor_ > 0) text_.erase(--cursor_, 1);
}

void EditBuffer::Delete() {
  if (cursor_ < text_.size()) text_.erase(cursor_, 1);
}

void EditBuffer::Left() { cursor_ -= cursor_ > 0; }

void EditBuffer::Right() { cursor_ += cursor_ < text_.size(); }

void EditBuffer::WordLeft() {
  while (cursor_ > 0 && !IsWordPart(text_[cursor_ - 1])) --cursor_;
  while (cursor_ > 0 && IsWordPart(text_[cursor_ - 1])) --cursor_;
}

void EditBuffer::WordRight() {
  while (cursor_ < text_.size() && !IsWordPart(text_[cursor_])) ++cursor_;
  while (cursor_ < text_.size() && IsWordPart(text_[cursor_])) ++cursor_;
}

size_t EditBuffer::StartOfLine(size_t at) const {
  const size_t newline = at == 0 ? std::u32string::npos : text_.rfind(U'\n', at - 1);
  return newline == std::u32string::npos ? 0 : newline + 1;
}

size_t EditBuffer::EndOfLine(size_t at) const {
  return std::min(text_.find(U'\n', at), text_.size());
}

void EditBuffer::LineStart() { cursor_ = StartOfLine(cursor_); }

void EditBuffer::LineEnd() { cursor_ = EndOfLine(cursor_); }

bool EditBuffer::Up() {
  const size_t start = StartOfLine(cursor_);
  if (start == 0) return false;
  const size_t above = StartOfLine(start - 1);
  cursor_ = std::min(above + (cursor_ - start), start - 1);
  return true;
}

bool EditBuffer::Down() {
  const size_t end = EndOfLine(cursor_);
  if (end == text_.size()) return false;
  cursor_ = std::min(end + 1 + (cursor_ - StartOfLine(cursor_)), EndOfLine(end + 1));
  return true;
}

void EditBuffer::KillToLineEnd() { text_.erase(cursor_, EndOfLine(cursor_) - cursor_); }

void EditBuffer::KillToLineStart() {
  const size_t start = StartOfLine(cursor_);
  text_.erase(start, cursor_ - start);
  cursor_ = start;
}

void EditBuffer::KillWordLeft() {
  const size_t end = cursor_;
  WordLeft();
  text_.erase(cursor_, end - cursor_);
}

void EditBuffer::Set(std::string_view utf8) {
  text_ = FromUtf8(utf8);
  cursor_ = text_.size();
}

std::string EditBuffer::Utf8() const { return ToUtf8(text_); }

void History::Add(std::string entry) {
  if (entry.empty() || (!entries_.empty() && entries_.back() == entry)) return;
  entries_.push_back(std::move(entry));
  if (entries_.size() > kMostEntries) entries_.erase(entries_.begin());
}

std::string History::Serialize() const {
  std::string out;
  for (const std::string& entry : entries_) {
    for (char c : entry) {
      if (c == '\\') {
        out += "\\\\";
      } else if (c == '\n') {
        out += "\\n";
      } else {
        out += c;
      }
    }
    out += '\n';
  }
  return out;
}

History History::Parse(std::string_view text) {
  History history;
  std::string entry;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') {
      history.Add(std::exchange(entry, ""));
    } else if (text[i] == '\\' && i + 1 < text.size()) {
      entry += text[++i] == 'n' ? '\n' : text[i];
    } else {
      entry += text[i];
    }
  }
  return history;
}

}  // namespace lamina::cli
