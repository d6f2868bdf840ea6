// What is known about the terminal, and how to write to it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace lamina::cli {

/// Whether escape sequences may be written to `stream`: it is a terminal, TERM is not "dumb", and
/// NO_COLOR (no-color.org) is unset or empty.
bool HasColor(std::FILE* stream);

bool IsTerminal(std::FILE* stream);

/// TERM is "dumb": the terminal knows no escape sequences.
bool IsDumbTerminal();

/// Columns of the terminal, 80 where unknown.
int TerminalWidth();

/// `text` dimmed, where `color`.
std::string Dim(std::string_view text, bool color);

/// Text of others, such as a model's metadata, with its control characters written as \x1b: it
/// cannot steer the terminal. Lines and tabs stay.
std::string Printable(std::string_view text);

/// A model's text for stdout: Printable on a terminal, as it is elsewhere.
std::string Shown(std::string_view text);

/// "98.4 MB", "1.2 GB": decimal units, as disks and downloads are sold.
std::string HumanBytes(uint64_t bytes);

/// "135 M", "1.2 B" of parameters.
std::string HumanCount(uint64_t count);

/// One line on a terminal's stderr that is overwritten and disappears at the end; elsewhere
/// nothing.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine() { Clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;
  void Show(std::string_view text);
  void Clear();

 private:
  const bool on_;
  bool shown_ = false;
};

}  // namespace lamina::cli
