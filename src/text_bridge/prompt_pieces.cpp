#include "text_bridge/prompt_pieces.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace lamina::text_bridge {
namespace {

/// Beyond this product of lengths the sequences are not aligned: every token counts as unexpected.
constexpr size_t kMaxAlignment = size_t{1} << 24;

/// For each element of `tokens`, whether a longest common subsequence with `expected` has it.
std::vector<bool> Expected(const std::vector<int>& tokens, const std::vector<int>& expected) {
  const size_t n = tokens.size(), m = expected.size();
  std::vector<bool> found(n, false);
  if (n == 0 || m == 0 || n > kMaxAlignment / m) return found;
  // length[i][j]: of the longest common subsequence of the ends from i and from j.
  std::vector<uint32_t> length((n + 1) * (m + 1), 0);
  const auto at = [&](size_t i, size_t j) -> uint32_t& { return length[i * (m + 1) + j]; };
  for (size_t i = n; i-- > 0;) {
    for (size_t j = m; j-- > 0;) {
      at(i, j) =
          tokens[i] == expected[j] ? at(i + 1, j + 1) + 1 : std::max(at(i + 1, j), at(i, j + 1));
    }
  }
  for (size_t i = 0, j = 0; i < n && j < m;) {
    if (tokens[i] == expected[j]) {
      found[i++] = true;
      ++j;
    } else if (at(i + 1, j) >= at(i, j + 1)) {
      ++i;
    } else {
      ++j;
    }
  }
  return found;
}

class Pieces {
 public:
  void Add(std::string_view text, bool parse_special) {
    if (text.empty()) return;
    if (!parse_special || pieces_.empty() || !pieces_.back().parse_special || closed_) {
      pieces_.push_back({std::string(text), parse_special});
    } else {
      pieces_.back().text += text;
    }
    closed_ = false;
  }
  /// The next text starts a piece of its own.
  void Close() { closed_ = true; }
  std::vector<text::PromptPiece> Take() { return std::move(pieces_); }

 private:
  std::vector<text::PromptPiece> pieces_;
  bool closed_ = false;
};

}  // namespace

std::vector<text::PromptPiece> SplitPrompt(const SpecialTokens& tokens, const Unmarked& prompt) {
  const std::vector<TokenSpan> genuine = tokens.FindGenuine(prompt);
  const std::string_view text = prompt.text;
  Pieces pieces;
  size_t at = 0;
  for (size_t i = 0; i <= genuine.size(); ++i) {
    const size_t end = i < genuine.size() ? genuine[i].begin : text.size();
    // No genuine token begins before `end`, so any token that does is a message's.
    const bool forged = tokens.OccursIn(text, at, end);
    pieces.Add(text.substr(at, end - at), !forged);
    if (i == genuine.size()) break;
    const std::string_view token = text.substr(end, genuine[i].end - end);
    pieces.Add(token, true);
    // What follows could turn this token into a longer one.
    const int longest = tokens.MatchAt(text, end, nullptr);
    if (tokens.texts()[longest].size() > token.size()) pieces.Close();
    at = genuine[i].end;
  }
  return pieces.Take();
}

void MarkUnexpected(const SpecialTokens& tokens, const std::vector<bool>& is_control,
                    const Unmarked& safe, Unmarked& prompt) {
  const auto ids = [](const std::vector<TokenSpan>& spans) {
    std::vector<int> result;
    for (const TokenSpan& span : spans) result.push_back(span.token);
    return result;
  };
  const std::vector<TokenSpan> spans = tokens.FindGenuine(prompt);
  const std::vector<bool> expected = Expected(ids(spans), ids(tokens.FindGenuine(safe)));
  for (size_t i = 0; i < spans.size(); ++i) {
    if (expected[i] || !is_control[spans[i].token]) continue;
    std::fill(prompt.marked.begin() + static_cast<int64_t>(spans[i].begin),
              prompt.marked.begin() + static_cast<int64_t>(spans[i].end), true);
  }
}

}  // namespace lamina::text_bridge
