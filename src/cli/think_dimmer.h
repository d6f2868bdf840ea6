// Streams an answer to a terminal, what stands between think tags dimmed.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace lamina::cli {

/// Without color the text passes unchanged. Holds back what may be the beginning of a tag.
class ThinkDimmer {
 public:
  /// `thinking`: the prompt already opened the tag.
  ThinkDimmer(bool color, bool thinking);

  /// What to write for the next piece of text.
  std::string Push(std::string_view text);
  /// What to write at the end: held-back text, and the normal style.
  std::string Finish();

 private:
  const bool color_;
  bool thinking_;
  bool dimmed_ = false;
  std::string held_;
};

}  // namespace lamina::cli
