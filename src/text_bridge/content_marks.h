// Which characters of a rendered prompt came from a message: marks that survive a template.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace lamina::text_bridge {

/// Where a special token's text occurs in a rendered prompt.
struct TokenSpan {
  size_t begin, end;  ///< Bytes.
  int token;          ///< Index into the special tokens.
};

/// A rendered prompt with the marks taken off again.
struct Unmarked {
  std::string text;
  std::vector<bool> marked;  ///< For each byte of text, whether a message wrote it.
};

/// The special tokens of a vocabulary and the characters they consist of. Immutable.
class SpecialTokens {
 public:
  explicit SpecialTokens(std::vector<std::string> texts);

  const std::vector<std::string>& texts() const { return texts_; }
  /// Characters of special tokens, spaces and line breaks left out: templates trim those.
  const std::vector<char32_t>& characters() const { return characters_; }

  /// All tokens in a prompt from left to right, longest first, that are wholly unmarked.
  std::vector<TokenSpan> FindGenuine(const Unmarked& prompt) const;
  /// Whether any token's text begins in [begin, end), whoever wrote it.
  bool OccursIn(std::string_view text, size_t begin, size_t end) const;
  /// The longest token that begins at `at` and is unmarked (`marked` null: any), or -1.
  int MatchAt(std::string_view text, size_t at, const std::vector<bool>* marked) const;

 private:
  std::vector<std::string> texts_;  ///< Sorted by first byte, longest first.
  std::vector<char32_t> characters_;
  std::vector<int> by_first_byte_;  ///< [257]: texts_ that begin with byte b: [b], [b + 1].
};

enum class MarkLevel {
  kAll,         ///< Every character that a special token may contain.
  kPunctuation  ///< Only those that are neither letters nor digits: templates compare words.
};

/// One rendering's marks: characters of special tokens <-> private-use code points that none of
/// its inputs contains.
class ContentMarks {
 public:
  /// Errors: kInvalidArgument where the inputs use up the private-use area.
  static Result<ContentMarks> Choose(const SpecialTokens& tokens,
                                     std::span<const std::string_view> inputs);

  /// `text` with its characters replaced by their marks, outside occurrences of `exempt`.
  std::string Mark(std::string_view text, MarkLevel level,
                   std::span<const std::string> exempt) const;
  Unmarked Unmark(std::string_view rendered) const;

 private:
  std::unordered_map<char32_t, char32_t> to_mark_;
  std::unordered_map<char32_t, char32_t> from_mark_;
};

}  // namespace lamina::text_bridge
