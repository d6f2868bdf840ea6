// The text that a user is editing, and its history: no terminal in here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lamina::cli {

/// Text as code points with a cursor; operations that cannot move or delete do nothing.
class EditBuffer {
 public:
  void Insert(char32_t c);
  void Backspace();
  void Delete();
  void Left();
  void Right();
  void WordLeft();
  void WordRight();
  void LineStart();  ///< Of the line that the cursor is in.
  void LineEnd();
  bool Up();    ///< To the line above; false on the first.
  bool Down();  ///< To the line below; false on the last.
  void KillToLineEnd();
  void KillToLineStart();
  void KillWordLeft();
  void Set(std::string_view utf8);

  const std::u32string& text() const { return text_; }
  size_t cursor() const { return cursor_; }
  std::string Utf8() const;

 private:
  size_t StartOfLine(size_t at) const;
  size_t EndOfLine(size_t at) const;

  std::u32string text_;
  size_t cursor_ = 0;
};

/// Earlier inputs. Entries keep their lines; in the file a backslash and a newline are escaped.
class History {
 public:
  static constexpr size_t kMostEntries = 1000;

  void Add(std::string entry);
  const std::vector<std::string>& entries() const { return entries_; }

  std::string Serialize() const;
  static History Parse(std::string_view text);

 private:
  std::vector<std::string> entries_;
};

/// Columns that a code point takes: 0 for combining marks, 2 for wide scripts and emoji, else 1.
int Columns(char32_t c);

std::u32string FromUtf8(std::string_view utf8);  ///< Invalid bytes become U+FFFD.
std::string ToUtf8(std::u32string_view text);

}  // namespace lamina::cli
