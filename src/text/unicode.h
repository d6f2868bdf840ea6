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

/// As ClassOf, for code points from 128 on.
CharClass ClassOfNonAscii(char32_t code_point);

/// Unicode 16. Anything that is not a code point is kOther.
inline CharClass ClassOf(char32_t code_point) {
  if (code_point >= 0x80) return ClassOfNonAscii(code_point);
  if (code_point >= 'a' && code_point <= 'z') return CharClass::kLower;
  if (code_point >= 'A' && code_point <= 'Z') return CharClass::kUpper;
  if (code_point >= '0' && code_point <= '9') return CharClass::kNumber;
  const bool space = code_point == ' ' || (code_point >= '\t' && code_point <= '\r');
  return space ? CharClass::kSpace : CharClass::kOther;
}

inline bool IsLetter(CharClass c) { return c >= CharClass::kUpper; }

/// One code point of a text.
struct Utf8Char {
  char32_t code_point;  ///< U+FFFD where the bytes are not UTF-8.
  uint32_t n_bytes;     ///< At least 1; of a bad sequence its longest valid beginning.
  bool valid;
};

/// As DecodeUtf8, where the byte at `pos` is no ASCII.
Utf8Char DecodeUtf8Sequence(std::string_view text, size_t pos);

/// Decodes at `pos` < text.size(). Overlong forms, surrogates and values above U+10FFFF are bad.
inline Utf8Char DecodeUtf8(std::string_view text, size_t pos) {
  const auto byte = static_cast<uint8_t>(text[pos]);
  if (byte < 0x80) return {byte, 1, true};
  return DecodeUtf8Sequence(text, pos);
}

void AppendUtf8(std::string& text, char32_t code_point);

bool IsValidUtf8(std::string_view text);

/// Every maximal bad sequence as one U+FFFD, as the Unicode standard recommends (section 3.9) and
/// the reference tokenizers do.
std::string ReplaceInvalidUtf8(std::string_view text);

/// How many bytes at the end of `text` begin a sequence that further bytes may complete (0 to 3).
size_t UnfinishedUtf8Bytes(std::string_view text);

}  // namespace lamina::text
