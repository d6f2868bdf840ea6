// UTF-8 and the character classes that tokenizer patterns ask for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lamina::text {

/// What a pattern can tell apart; every code point has exactly one. \p{L} is the last three.
enum class CharClass : uint8_t {
  kOther,   ///< Punctuation, symbols, control characters, unassigned.
  kSpace,   ///< \s: the property White_Space.
  kNumber,  ///< \p{N}
  kMark,    ///< \p{M}
  kUpper,   ///< \p{Lu} and \p{Lt}
  kLower,   ///< \p{Ll}
  kLetter,  ///< \p{Lm} and \p{Lo}
};

/// Unicode 16. Anything that is not a code point is kOther.
CharClass ClassOf(char32_t code_point);

inline bool IsLetter(CharClass c) { return c >= CharClass::kUpper; }

/// One code point of a text.
struct Utf8Char {
  char32_t code_point;  ///< U+FFFD where the bytes are not UTF-8.
  uint32_t n_bytes;     ///< At least 1; of a bad sequence its longest valid beginning.
  bool valid;
};

/// Decodes at `pos` < text.size(). Overlong forms, surrogates and values above U+10FFFF are bad.
Utf8Char DecodeUtf8(std::string_view text, size_t pos);

void AppendUtf8(std::string& text, char32_t code_point);

bool IsValidUtf8(std::string_view text);

/// Every maximal bad sequence as one U+FFFD, as the Unicode standard recommends (section 3.9) and
/// the reference tokenizers do.
std::string ReplaceInvalidUtf8(std::string_view text);

/// How many bytes at the end of `text` begin a sequence that further bytes may complete (0 to 3).
size_t UnfinishedUtf8Bytes(std::string_view text);

}  // namespace lamina::text
