// Untrusted text inside messages.
#pragma once

#include <string>
#include <string_view>

namespace lamina::format {

/// `text` in double quotes, fit for a terminal: printable ASCII as it is, other bytes as \xHH, cut
/// after 64 bytes.
std::string Quote(std::string_view text);

}  // namespace lamina::format
