#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace lamina::text {
namespace {

bool IsWordChar(std::string_view text, size_t pos) {
  const Utf8Char c = DecodeUtf8(text, pos);
  const CharClass char_class = ClassOf(c.code_point);
  return c.code_point == '_' || IsLetter(char_class) || char_class == CharClass::kNumber ||
         char_class == CharClass::kMark;
}

size_t PreviousChar(std::string_view text, size_t pos) {
  do {
    --pos;
  } while (pos > 0 && (static_cast<uint8_t>(text[pos]) & 0xC0) == 0x80);
  return pos;
}

bool IsSpaceAt(std::string_view text, size_t pos) {
  return ClassOf(DecodeUtf8(text, pos).code_point) == CharClass::kSpace;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.text.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.text < b.text; });
  tokens_.erase(
      std::unique(tokens_.begin(), tokens_.end(),
                  [](const AddedToken& a, const AddedToken& b) { return a.text == b.text; }),
      tokens_.end());
  uint32_t i = 0;
  for (uint32_t byte = 0; byte <= 256; ++byte) {
    while (i < tokens_.size() && static_cast<uint8_t>(tokens_[i].text[0]) < byte) ++i;
    first_byte_[byte] = i;
  }
}

const AddedToken* AddedTokens::LongestAt(std::string_view text, size_t pos,
                                         size_t special_end) const {
  const auto first = static_cast<uint8_t>(text[pos]);
  auto begin = tokens_.begin() + first_byte_[first];
  auto end = tokens_.begin() + first_byte_[first + 1];
  const AddedToken* longest = nullptr;
  // [begin, end) agree with the text on the first `depth` bytes.
  for (size_t depth = 1; begin != end; ++depth) {
    if (begin->text.size() == depth) {
      if (!begin->special || pos + depth <= special_end) longest = &*begin;
      ++begin;
    }
    if (pos + depth == text.size()) break;
    const auto byte = static_cast<uint8_t>(text[pos + depth]);
    begin = std::partition_point(begin, end, [&](const AddedToken& token) {
      return static_cast<uint8_t>(token.text[depth]) < byte;
    });
    end = std::partition_point(begin, end, [&](const AddedToken& token) {
      return static_cast<uint8_t>(token.text[depth]) == byte;
    });
  }
  return longest;
}

void AddedTokens::FindAll(std::string_view text, std::span<const TextSpan> special,
                          FunctionRef<void(const Match&)> emit) const {
  if (tokens_.empty()) return;
  size_t previous_end = 0;
  for (size_t pos = 0; pos < text.size();) {
    const auto byte = static_cast<uint8_t>(text[pos]);
    if (first_byte_[byte] == first_byte_[byte + 1]) {
      ++pos;
      continue;
    }
    while (!special.empty() && special.front().end <= pos) special = special.subspan(1);
    const bool in_special = !special.empty() && special.front().begin <= pos;
    const AddedToken* token = LongestAt(text, pos, in_special ? special.front().end : 0);
    if (token == nullptr) {
      ++pos;
      continue;
    }
    Match match = {pos, pos + token->text.size(), token->id};
    pos = match.end;
    if (token->single_word &&
        ((match.begin > 0 && IsWordChar(text, PreviousChar(text, match.begin))) ||
         (match.end < text.size() && IsWordChar(text, match.end)))) {
      continue;
    }
    if (token->lstrip) {
      while (match.begin > previous_end) {
        const size_t before = PreviousChar(text, match.begin);
        if (before < previous_end || !IsSpaceAt(text, before)) break;
        match.begin = before;
      }
    }
    if (token->rstrip) {
      while (match.end < text.size() && IsSpaceAt(text, match.end)) {
        match.end += DecodeUtf8(text, match.end).n_bytes;
      }
    }
    emit(match);
    previous_end = match.end;
    pos = match.end;
  }
}

}  // namespace lamina::text
