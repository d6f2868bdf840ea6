#include "cli/think_dimmer.h"

#include <algorithm>
#include <utility>

namespace lamina::cli {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>";
constexpr std::string_view kDim = "\x1b[2m", kNormal = "\x1b[22m";

}  // namespace

ThinkDimmer::ThinkDimmer(bool color, bool thinking) : color_(color), thinking_(thinking) {}

std::string ThinkDimmer::Push(std::string_view text) {
  if (!color_) return std::string(text);
  held_ += text;
  std::string out;
  for (;;) {
    const std::string_view tag = thinking_ ? kClose : kOpen;
    if (thinking_ && !dimmed_) {
      out += kDim;
      dimmed_ = true;
    }
    const size_t found = held_.find(tag);
    if (found == std::string::npos) {
      size_t n_held = std::min(held_.size(), tag.size() - 1);
      while (n_held > 0 && held_.compare(held_.size() - n_held, n_held, tag, 0, n_held) != 0) {
        --n_held;
      }
      out += held_.substr(0, held_.size() - n_held);
      held_.erase(0, held_.size() - n_held);
      return out;
    }
    // The tags themselves belong to what is dimmed.
    if (!thinking_) {
      out += held_.substr(0, found);
      out += kDim;
      out += tag;
    } else {
      out += held_.substr(0, found + tag.size());
      out += kNormal;
    }
    held_.erase(0, found + tag.size());
    thinking_ = !thinking_;
    dimmed_ = thinking_;
  }
}

std::string ThinkDimmer::Finish() {
  std::string out = std::exchange(held_, "");
  if (std::exchange(dimmed_, false)) out += kNormal;
  return out;
}

}  // namespace lamina::cli
