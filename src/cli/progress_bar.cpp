#include "cli/progress_bar.h"

#include <fmt/core.h>

#include <algorithm>

namespace lamina::cli {

std::string Bar(double part, int width) {
  const int n = static_cast<int>(std::clamp(part, 0.0, 1.0) * width);
  return "[" + std::string(static_cast<size_t>(n), '#') +
         std::string(static_cast<size_t>(width - n), '-') + "]";
}

void ProgressBar::Update(const store::Progress& progress) {
  const auto now = Clock::now();
  if (stage_ != progress.stage) {
    stage_ = progress.stage;
    stage_start_ = now;
    stage_start_bytes_ = progress.done_bytes;
    if (!IsTerminal(stderr)) fmt::print(stderr, "{}\n", stage_);
  }
  const double seconds = std::chrono::duration<double>(now - stage_start_).count();
  const double speed =
      seconds > 0.5 ? static_cast<double>(progress.done_bytes - stage_start_bytes_) / seconds : 0;
  std::string text = fmt::format("{:<11}", stage_);
  if (progress.total_bytes > 0) {
    const double part =
        static_cast<double>(progress.done_bytes) / static_cast<double>(progress.total_bytes);
    text += fmt::format(" {} {:3.0f}%  {} of {}", Bar(part, 24), 100 * part,
                        HumanBytes(progress.done_bytes), HumanBytes(progress.total_bytes));
  } else if (progress.done_bytes > 0) {
    text += " " + HumanBytes(progress.done_bytes);
  }
  if (speed > 0) {
    text += fmt::format("  {}/s", HumanBytes(static_cast<uint64_t>(speed)));
    if (progress.total_bytes > progress.done_bytes) {
      text += fmt::format("  {:.0f} s left",
                          static_cast<double>(progress.total_bytes - progress.done_bytes) / speed);
    }
  }
  line_.Show(text);
}

}  // namespace lamina::cli
