// Reads what a user types at a terminal, one input of one or several lines at a time.
#pragma once

#include <string>

#include "cli/edit_buffer.h"

namespace lamina::cli {

/// Keys as in other shells: arrows, Home, End, Ctrl-A E B F K U W D L, Alt-B F; Up and Down go
/// through the history from the first and last line. Enter ends the input, except after a
/// backslash and between two lines of """; Alt-Enter always begins a new line; pasted lines stay
/// lines. The terminal is raw only inside Read.
class LineEditor {
 public:
  enum class Event {
    kInput,      ///< `text` is what was typed.
    kInterrupt,  ///< Ctrl-C.
    kEnd,        ///< Ctrl-D on an empty input, or the terminal is gone.
  };

  explicit LineEditor(History history) : history_(std::move(history)) {}

  /// Prints `prompt` and reads. Standard input must be a terminal.
  Event Read(const std::string& prompt, std::string& text);

  const History& history() const { return history_; }

 private:
  /// With the terminal's own line editing, where there are no escape sequences.
  Event ReadPlain(const std::string& prompt, std::string& text);
  Event Take(std::string& text);
  int ReadByte();
  /// The next key of an escape sequence, applied.
  void Escape();
  void Paste();
  void InsertUtf8(int lead);
  void OlderEntry();
  void NewerEntry();
  bool Finished() const;
  void Redraw(const std::string& prompt);
  void LeaveLines();

  History history_;
  EditBuffer buffer_;
  size_t history_at_ = 0;  ///< Entry shown; entries().size() = the new input.
  std::string new_input_;  ///< Kept while an older entry is shown.
  int cursor_row_ = 0;     ///< Rows from the first drawn one to the cursor.
  int last_row_ = 0;
};

/// The text of an input without the marks that let it span lines: enclosing """ and backslashes
/// before newlines.
std::string WithoutLineMarks(std::string text);

}  // namespace lamina::cli
