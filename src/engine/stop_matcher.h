// Holds back text that may still turn into one of the stop texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lamina::engine {

/// Stop texts are not empty and valid UTF-8, so what is held back begins at a character.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Takes the next piece of text; returns what became final. Once a stop text is complete,
  /// stopped() is true and the text before it has been returned.
  std::string Push(std::string_view text);
  /// The text held back, at the end of an answer that no stop text ended.
  std::string Finish() { return stopped_ ? "" : std::move(held_); }
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace lamina::engine
