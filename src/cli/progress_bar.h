// How far a pull is, on stderr.
#pragma once

#include <chrono>
#include <string>

#include "cli/terminal.h"
#include "store/library.h"

namespace lamina::cli {

/// On a terminal one line with a bar, bytes, speed and time left; elsewhere one line per stage.
class ProgressBar {
 public:
  void Update(const store::Progress& progress);
  void Clear() { line_.Clear(); }

 private:
  using Clock = std::chrono::steady_clock;
  StatusLine line_;
  std::string stage_;
  Clock::time_point stage_start_;
  uint64_t stage_start_bytes_ = 0;  ///< A resumed download does not begin at 0.
};

/// "[#####-----]" of `width` columns for a part from 0 to 1.
std::string Bar(double part, int width);

}  // namespace lamina::cli
