// A compiled Jinja template: text and JSON in, text out, within bounds of time and memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct LaminaTemplate;

namespace lamina::text_bridge {

/// Jinja as the Python package transformers configures it, run by bridge/. Safe from any thread.
class Jinja {
 public:
  /// Errors: kInvalidArgument with the line; kUnimplemented in a build without the bridge.
  static Result<Jinja> Compile(std::string_view source);

  /// Renders with the variables of a JSON object. Errors: kInvalidArgument with what the template
  /// says; kResourceExhausted when it needs too many steps, too much memory or depth.
  Result<std::string> Render(std::string_view variables_json) const;

 private:
  struct Free {
    void operator()(LaminaTemplate* compiled) const;
  };
  std::unique_ptr<LaminaTemplate, Free> compiled_;
};

}  // namespace lamina::text_bridge
