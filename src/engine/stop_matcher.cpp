#include "engine/stop_matcher.h"

#include <algorithm>

namespace lamina::engine {

std::string StopMatcher::Push(std::string_view text) {
  if (stopped_) return "";
  held_ += text;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
  size_t n_final = held_.size();
  if (first != std::string::npos) {
    stopped_ = true;
    n_final = first;
  } else {
    for (const std::string& stop : stops_) {
      // The longest end of the text that begins the stop text.
      for (size_t n = std::min(stop.size() - 1, held_.size()); n > 0; --n) {
        if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) {
          n_final = std::min(n_final, held_.size() - n);
          break;
        }
      }
    }
  }
  std::string final_text = held_.substr(0, n_final);
  held_.erase(0, n_final);
  return final_text;
}

}  // namespace lamina::engine
