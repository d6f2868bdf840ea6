// Tokens that are found in a text as they stand, before it is normalized, split and merged.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/tokenizer.h"

namespace lamina::text {

struct AddedToken {
  std::string text;
  TokenId id = -1;
  bool special = false;      ///< Found only where the caller allows special tokens.
  bool single_word = false;  ///< Not next to a letter, digit or underscore.
  bool lstrip = false;       ///< Takes the white space before it along,
  bool rstrip = false;       ///< and behind it.
};

/// Finds added tokens: leftmost first, of those the longest. Immutable; safe from any thread.
class AddedTokens {
 public:
  struct Match {
    size_t begin;
    size_t end;
    TokenId id;
  };

  AddedTokens() = default;
  /// Of tokens with equal texts the first counts; empty texts are left out.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }
  /// Calls `emit` for the matches in ascending order; special tokens only inside `special`.
  void FindAll(std::string_view text, std::span<const TextSpan> special,
               FunctionRef<void(const Match&)> emit) const;

 private:
  const AddedToken* LongestAt(std::string_view text, size_t pos, size_t special_end) const;

  std::vector<AddedToken> tokens_;        ///< Sorted by text.
  std::array<uint32_t, 257> first_byte_;  ///< tokens_ that begin with byte b: [b, b + 1).
};

}  // namespace lamina::text
