#include "cli/line_editor.h"

#include <fmt/core.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>

#include "cli/terminal.h"

namespace lamina::cli {
namespace {

constexpr int kEndOfInput = -1;
constexpr int kEscape = 27;
constexpr std::string_view kFence = "\"\"\"";
constexpr const char* kContinuation = "... ";

constexpr int Ctrl(char c) { return c & 0x1f; }

constexpr std::string_view kPasteOn = "\x1b[?2004h", kPasteOff = "\x1b[?2004l";
constexpr int kEndingSignals[] = {SIGTERM, SIGHUP, SIGQUIT};

termios usual_mode{};

// A signal that ends the program must not leave its terminal raw.
void OnEndingSignal(int signal) {
  const ssize_t n = write(STDOUT_FILENO, kPasteOff.data(), kPasteOff.size());
  (void)n;
  tcsetattr(STDIN_FILENO, TCSANOW, &usual_mode);
  ::signal(signal, SIG_DFL);
  raise(signal);
}

// Characters one by one, without echo; bracketed paste on.
class RawMode {
 public:
  RawMode() {
    if (tcgetattr(STDIN_FILENO, &usual_mode) != 0) return;
    termios raw = usual_mode;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~static_cast<tcflag_t>(IXON);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    on_ = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    if (!on_) return;
    Write(kPasteOn);
    struct sigaction action {};
    action.sa_handler = OnEndingSignal;
    for (size_t i = 0; i < std::size(kEndingSignals); ++i) {
      sigaction(kEndingSignals[i], nullptr, &saved_[i]);
      if (saved_[i].sa_handler == SIG_DFL) sigaction(kEndingSignals[i], &action, nullptr);
    }
  }
  ~RawMode() {
    if (!on_) return;
    for (size_t i = 0; i < std::size(kEndingSignals); ++i) {
      sigaction(kEndingSignals[i], &saved_[i], nullptr);
    }
    Write(kPasteOff);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &usual_mode);
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

  static void Write(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

 private:
  struct sigaction saved_[std::size(kEndingSignals)] = {};
  bool on_ = false;
};

size_t CountFences(const std::string& text) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(kFence, at)) != std::string::npos; at += kFence.size()) ++n;
  return n;
}

}  // namespace

std::string WithoutLineMarks(std::string text) {
  for (size_t at = 0; (at = text.find("\\\n", at)) != std::string::npos; ++at) text.erase(at, 1);
  if (text.size() < 2 * kFence.size() || text.rfind(kFence, 0) != 0) return text;
  const size_t close = text.size() - kFence.size();
  if (text.compare(close, kFence.size(), kFence) != 0) return text;
  text = text.substr(kFence.size(), close - kFence.size());
  if (!text.empty() && text.front() == '\n') text.erase(0, 1);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

int LineEditor::ReadByte() {
  unsigned char byte;
  for (;;) {
    const ssize_t n = read(STDIN_FILENO, &byte, 1);
    if (n == 1) return byte;
    if (n < 0 && errno == EINTR) continue;
    return kEndOfInput;
  }
}

void LineEditor::InsertUtf8(int lead) {
  std::string bytes(1, static_cast<char>(lead));
  const int n_more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  for (int i = 0; i < n_more; ++i) {
    const int byte = ReadByte();
    if (byte == kEndOfInput) return;
    bytes.push_back(static_cast<char>(byte));
  }
  for (char32_t c : FromUtf8(bytes)) buffer_.Insert(c);
}

void LineEditor::Paste() {
  std::string pasted;
  constexpr std::string_view kEnd = "\x1b[201~";
  while (pasted.size() < kEnd.size() ||
         pasted.compare(pasted.size() - kEnd.size(), kEnd.size(), kEnd) != 0) {
    const int byte = ReadByte();
    if (byte == kEndOfInput) return;
    pasted.push_back(byte == '\r' ? '\n' : static_cast<char>(byte));
  }
  pasted.resize(pasted.size() - kEnd.size());
  for (char32_t c : FromUtf8(pasted)) {
    if (c >= 32 || c == '\n' || c == '\t') buffer_.Insert(c);
  }
}

void LineEditor::Escape() {
  int key = ReadByte();
  if (key == '\r' || key == '\n') return buffer_.Insert(U'\n');
  if (key == 'b') return buffer_.WordLeft();
  if (key == 'f') return buffer_.WordRight();
  if (key != '[' && key != 'O') return;
  std::string sequence;
  do {
    key = ReadByte();
    if (key == kEndOfInput) return;
    sequence.push_back(static_cast<char>(key));
  } while (key < 0x40 || key > 0x7e);
  if (sequence == "A") {
    if (!buffer_.Up()) OlderEntry();
  } else if (sequence == "B") {
    if (!buffer_.Down()) NewerEntry();
  } else if (sequence == "C") {
    buffer_.Right();
  } else if (sequence == "D") {
    buffer_.Left();
  } else if (sequence == "1;5C") {
    buffer_.WordRight();
  } else if (sequence == "1;5D") {
    buffer_.WordLeft();
  } else if (sequence == "H" || sequence == "1~") {
    buffer_.LineStart();
  } else if (sequence == "F" || sequence == "4~") {
    buffer_.LineEnd();
  } else if (sequence == "3~") {
    buffer_.Delete();
  } else if (sequence == "200~") {
    Paste();
  }
}

void LineEditor::OlderEntry() {
  if (history_at_ == 0) return;
  if (history_at_ == history_.entries().size()) new_input_ = buffer_.Utf8();
  buffer_.Set(history_.entries()[--history_at_]);
}

void LineEditor::NewerEntry() {
  if (history_at_ == history_.entries().size()) return;
  ++history_at_;
  buffer_.Set(history_at_ == history_.entries().size() ? new_input_
                                                       : history_.entries()[history_at_]);
}

bool LineEditor::Finished() const {
  const std::string text = buffer_.Utf8();
  if (!text.empty() && text.back() == '\\') return false;
  return text.rfind(kFence, 0) != 0 || CountFences(text) >= 2;
}

void LineEditor::Redraw(const std::string& prompt) {
  const int width = TerminalWidth();
  std::string out = "\r";
  if (cursor_row_ > 0) out += fmt::format("\x1b[{}A", cursor_row_);
  out += "\x1b[J" + prompt;
  int row = 0, column = static_cast<int>(FromUtf8(prompt).size());
  int row_at_cursor = 0, column_at_cursor = column;
  const auto& text = buffer_.text();
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == buffer_.cursor()) row_at_cursor = row, column_at_cursor = column;
    if (i == text.size()) break;
    if (text[i] == U'\n') {
      out += "\r\n";
      out += kContinuation;
      ++row;
      column = 4;
      continue;
    }
    const bool is_visible = text[i] >= 32;
    const char32_t shown = is_visible ? text[i] : U' ';
    if (column + Columns(shown) > width) out += "\r\n", ++row, column = 0;
    out += ToUtf8(std::u32string_view(&shown, 1));
    column += Columns(shown);
    // A terminal that has filled a row leaves its cursor there: go on explicitly.
    if (column >= width) out += "\r\n", ++row, column = 0;
    if (i + 1 == buffer_.cursor()) row_at_cursor = row, column_at_cursor = column;
  }
  if (row > row_at_cursor) out += fmt::format("\x1b[{}A", row - row_at_cursor);
  out += "\r";
  if (column_at_cursor > 0) out += fmt::format("\x1b[{}C", column_at_cursor);
  cursor_row_ = row_at_cursor;
  last_row_ = row;
  RawMode::Write(out);
}

void LineEditor::LeaveLines() {
  std::string out;
  if (last_row_ > cursor_row_) out = fmt::format("\x1b[{}B", last_row_ - cursor_row_);
  RawMode::Write(out + "\r\n");
}

LineEditor::Event LineEditor::Take(std::string& text) {
  text = buffer_.Utf8();
  history_.Add(text);
  text = WithoutLineMarks(std::move(text));
  return Event::kInput;
}

LineEditor::Event LineEditor::ReadPlain(const std::string& prompt, std::string& text) {
  RawMode::Write(prompt);
  for (std::string typed;;) {
    const int byte = ReadByte();
    if (byte != kEndOfInput && byte != '\n') {
      typed.push_back(static_cast<char>(byte));
      continue;
    }
    if (byte == kEndOfInput && typed.empty()) return Event::kEnd;
    buffer_.Set(typed);
    if (byte == kEndOfInput || Finished()) return Take(text);
    typed.push_back('\n');
    RawMode::Write(kContinuation);
  }
}

LineEditor::Event LineEditor::Read(const std::string& prompt, std::string& text) {
  if (IsDumbTerminal()) return ReadPlain(prompt, text);
  std::optional<RawMode> raw(std::in_place);
  buffer_ = {};
  history_at_ = history_.entries().size();
  cursor_row_ = last_row_ = 0;
  for (;;) {
    Redraw(prompt);
    const int key = ReadByte();
    if (key == kEndOfInput) return Event::kEnd;
    if (key == '\r' || key == '\n') {
      if (!Finished()) {
        buffer_.LineEnd();
        buffer_.Insert(U'\n');
        continue;
      }
      LeaveLines();
      return Take(text);
    }
    if (key == Ctrl('C')) {
      LeaveLines();
      return Event::kInterrupt;
    }
    if (key == Ctrl('D') && buffer_.text().empty()) {
      LeaveLines();
      return Event::kEnd;
    }
    switch (key) {
      case kEscape:
        Escape();
        break;
      case 127:
      case Ctrl('H'):
        buffer_.Backspace();
        break;
      case Ctrl('A'):
        buffer_.LineStart();
        break;
      case Ctrl('B'):
        buffer_.Left();
        break;
      case Ctrl('D'):
        buffer_.Delete();
        break;
      case Ctrl('E'):
        buffer_.LineEnd();
        break;
      case Ctrl('F'):
        buffer_.Right();
        break;
      case Ctrl('K'):
        buffer_.KillToLineEnd();
        break;
      case Ctrl('L'):
        RawMode::Write("\x1b[H\x1b[2J");
        cursor_row_ = 0;
        break;
      case Ctrl('N'):
        NewerEntry();
        break;
      case Ctrl('P'):
        OlderEntry();
        break;
      case Ctrl('U'):
        buffer_.KillToLineStart();
        break;
      case Ctrl('W'):
        buffer_.KillWordLeft();
        break;
      case Ctrl('Z'):
        LeaveLines();
        raw.reset();
        raise(SIGTSTP);
        raw.emplace();
        cursor_row_ = 0;
        break;
      case '\t':
        buffer_.Insert(U'\t');
        break;
      default:
        if (key >= 32) InsertUtf8(key);
    }
  }
}

}  // namespace lamina::cli
