// The alphabet in which byte-level vocabularies write bytes as visible characters (GPT-2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lamina::text {

/// "Ġhello" -> " hello"; nothing where a character is outside the alphabet.
std::optional<std::string> BytesOfVisible(std::string_view text);

}  // namespace lamina::text
