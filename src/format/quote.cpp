#include "format/quote.h"

#include <fmt/core.h>

namespace lamina::format {

std::string Quote(std::string_view text) {
  constexpr size_t kMaxBytes = 64;
  std::string quoted = "\"";
  for (const char c : text.substr(0, kMaxBytes)) {
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      quoted += c;
    } else {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  quoted += text.size() > kMaxBytes ? "...\"" : "\"";
  return quoted;
}

}  // namespace lamina::format
