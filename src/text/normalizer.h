// What happens to a text before it is split: Unicode normalization, a leading space, replacements.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lamina::text {

/// A sequence of steps. Immutable; safe from any thread.
class Normalizer {
 public:
  enum class Form { kNfc, kNfd, kNfkc, kNfkd };

  void AddForm(Form form) { steps_.push_back({Kind::kForm, form, {}, {}}); }
  /// `text` in front of anything that is not empty; `at_start_only`: only at the beginning of the
  /// whole input; `once`: unless it begins with `text` already.
  void AddPrefix(std::string text, bool at_start_only = false, bool once = false) {
    steps_.push_back({Kind::kPrefix, {}, {}, std::move(text), at_start_only, once});
  }
  void AddReplacement(std::string from, std::string to) {
    steps_.push_back({Kind::kReplacement, {}, std::move(from), std::move(to)});
  }

  bool empty() const { return steps_.empty(); }
  /// `text` is valid UTF-8; so is the result. `at_start`: it is the beginning of the whole input.
  std::string Run(std::string_view text, bool at_start) const;

 private:
  enum class Kind { kForm, kPrefix, kReplacement };
  struct Step {
    Kind kind;
    Form form;
    std::string from;
    std::string to;
    bool at_start_only = false;
    bool once = false;
  };
  std::vector<Step> steps_;
};

}  // namespace lamina::text
