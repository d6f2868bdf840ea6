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

void Add(std::string_view text, bool parse_special, std::vector<text::PromptPiece>& pieces) {
  if (text.empty()) return;
  if (pieces.empty() || pieces.back().parse_special != parse_special) {
    pieces.push_back({std::string(text), parse_special});
  } else {
    pieces.back().text += text;
  }
}

}  // namespace

std::vector<text::PromptPiece> SplitPrompt(const SpecialTokens& tokens, const Unmarked& prompt) {
  const std::vector<TokenSpan> genuine = tokens.FindGenuine(prompt);
  const std::string_view text = prompt.text;
  std::vector<text::PromptPiece> pieces;
  size_t at = 0;
  bool continues_token = false;  // What follows the last token would turn it into a longer one.
  for (size_t i = 0; i <= genuine.size(); ++i) {
    const size_t end = i < genuine.size() ? genuine[i].begin : text.size();
    // No genuine token begins before `end`, so any token that does is a message's.
    const bool forged = continues_token || tokens.OccursIn(text, at, end);
    Add(text.substr(at, end - at), !forged, pieces);
    if (i == genuine.size()) break;
    Add(text.substr(end, genuine[i].end - end), true, pieces);
    const int longest = tokens.MatchAt(text, end, nullptr);
    continues_token = longest != genuine[i].token;
    at = genuine[i].end;
  }
  return pieces;
}

int MarkUnexpected(const SpecialTokens& tokens, const std::vector<bool>& is_control,
                   const Unmarked& safe, Unmarked& prompt) {
  const auto ids = [](const std::vector<TokenSpan>& spans) {
    std::vector<int> result;
    for (const TokenSpan& span : spans) result.push_back(span.token);
    return result;
  };
  const std::vector<TokenSpan> spans = tokens.FindGenuine(prompt);
  const std::vector<bool> expected = Expected(ids(spans), ids(tokens.FindGenuine(safe)));
  int n_unexpected = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (expected[i] || !is_control[spans[i].token]) continue;
    std::fill(prompt.marked.begin() + static_cast<int64_t>(spans[i].begin),
              prompt.marked.begin() + static_cast<int64_t>(spans[i].end), true);
    ++n_unexpected;
  }
  return n_unexpected;
}

}  // namespace lamina::text_bridge
