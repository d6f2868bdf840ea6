#include <algorithm>
#include <bit>
#include <functional>

#include "format/quote.h"
#include "text/byte_level.h"
#include "text/loaders.h"

namespace lamina::text {

int ByteOfName(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return -1;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    int digit;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'A' && c <= 'F') {
      digit = c - 'A' + 10;
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else {
      return -1;
    }
    value = value * 16 + digit;
  }
  return value;
}

std::vector<uint32_t> RanksOfScores(const std::vector<double>& scores) {
  const auto is_f32 = [](double score) { return static_cast<float>(score) == score; };
  if (std::all_of(scores.begin(), scores.end(), is_f32)) {
    // As files have them. The bits of an f32 are in its order already, but for the sign.
    std::vector<uint32_t> ranks;
    ranks.reserve(scores.size());
    for (const double score : scores) {
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(score) + 0.0f);  // -0 is 0
      ranks.push_back(bits >> 31 != 0 ? bits : ~bits & 0x7FFFFFFF);
    }
    return ranks;
  }
  std::vector<double> distinct = scores;
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<uint32_t> ranks;
  ranks.reserve(scores.size());
  for (const double score : scores) {
    const auto it = std::lower_bound(distinct.begin(), distinct.end(), score, std::greater<>());
    ranks.push_back(static_cast<uint32_t>(it - distinct.begin()));
  }
  return ranks;
}

MergeListBuilder::MergeListBuilder(TokenizerParts& parts, size_t n_merges, bool strict,
                                   std::string field)
    : parts_(parts),
      merges_(std::make_unique<PairMerges>(n_merges)),
      strict_(strict),
      field_(std::move(field)) {}

TokenId MergeListBuilder::IdOf(const std::string& bytes) {
  const TokenId id = parts_.vocabulary->FindText(bytes);
  if (id >= 0 || strict_) return id;
  const TokenId next = parts_.vocabulary->n_tokens() + static_cast<TokenId>(absent_.size());
  const auto [entry, is_new] = absent_.emplace(bytes, next);
  if (is_new) parts_.absent.push_back(bytes);
  return entry->second;
}

TokenId MergeListBuilder::IdOfResult(const std::string& bytes) {
  // A learned list and its vocabulary are in the same order, which saves most of the search.
  const Vocabulary& vocabulary = *parts_.vocabulary;
  const TokenId guess = last_result_ + 1;
  const bool is_it =
      guess > 0 && guess < vocabulary.n_tokens() && !vocabulary.may_have_duplicates() &&
      vocabulary.type(guess) == TokenType::kNormal && vocabulary.bytes(guess) == bytes;
  last_result_ = is_it ? guess : IdOf(bytes);
  return last_result_;
}

Result<> MergeListBuilder::Add(std::string_view left, std::string_view right) {
  std::optional<std::string> l(left);
  std::optional<std::string> r(right);
  if (parts_.alphabet == TokenizerParts::Alphabet::kBytes) {
    l = BytesOfVisible(left);
    r = BytesOfVisible(right);
  }
  const uint32_t rank = rank_++;
  if (!l || !r || l->empty() || r->empty()) {
    // Never met: its sides cannot come out of a text.
    if (!strict_) return {};
    return Error(Code::kInvalidArgument, "{}[{}] ({} {}) is not a pair of tokens", field_, rank,
                 format::Quote(left), format::Quote(right));
  }
  const TokenId left_id = IdOf(*l);
  const TokenId right_id = IdOf(*r);
  const TokenId merged_id = IdOfResult(*l + *r);
  if (left_id < 0 || right_id < 0 || merged_id < 0) {
    return Error(Code::kInvalidArgument, "{}[{}] ({} {}) refers to a token that is missing", field_,
                 rank, format::Quote(left), format::Quote(right));
  }
  merges_->Add(left_id, right_id, {rank, merged_id});
  return {};
}

void MergeListBuilder::Finish() { parts_.merges = std::move(merges_); }

}  // namespace lamina::text
