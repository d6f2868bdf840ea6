// The core of byte-pair encoding: adjacent symbols merge, the best pair first.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace lamina::text {

/// A run of bytes of a piece that is one token, or not one yet (id -1).
struct Symbol {
  TokenId id;
  uint32_t begin;
  uint32_t n_bytes;
};

/// What two adjacent symbols become, and when: the lowest rank first, then the leftmost.
struct Merge {
  uint32_t rank;
  TokenId id;
};

/// Which pairs merge. Immutable; safe from any thread.
class MergeRules {
 public:
  virtual ~MergeRules() = default;
  /// Merges the symbols of one piece until no pair merges any more. O(n log n).
  virtual void Run(std::string_view piece, std::vector<Symbol>& symbols) const = 0;
};

/// A list of pairs, as byte-pair encoding learns it.
class PairMerges final : public MergeRules {
 public:
  explicit PairMerges(size_t n_merges);
  /// The first of equal pairs counts.
  void Add(TokenId left, TokenId right, Merge merge);
  std::optional<Merge> Find(std::string_view piece, const Symbol& left, const Symbol& right) const;
  void Run(std::string_view piece, std::vector<Symbol>& symbols) const override;

 private:
  struct Slot {
    uint64_t pair;
    Merge merge;
  };
  std::vector<Slot> slots_;  ///< Open addressing, a power of two.
  const HashSeed seed_ = HashSeed::OfProcess();
};

/// Any two symbols whose bytes together are a token merge; the token's rank decides when.
class ConcatMerges final : public MergeRules {
 public:
  /// `rank_of[id]`; the vocabulary outlives this.
  ConcatMerges(const Vocabulary& vocabulary, std::vector<uint32_t> rank_of)
      : vocabulary_(vocabulary), rank_of_(std::move(rank_of)) {}
  std::optional<Merge> Find(std::string_view piece, const Symbol& left, const Symbol& right) const;
  void Run(std::string_view piece, std::vector<Symbol>& symbols) const override;

 private:
  const Vocabulary& vocabulary_;
  std::vector<uint32_t> rank_of_;
};

}  // namespace lamina::text
