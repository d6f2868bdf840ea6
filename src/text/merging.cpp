#include "text/merging.h"

#include <algorithm>

namespace lamina::text {
namespace {

constexpr uint64_t kNoPair = ~uint64_t{0};
constexpr uint32_t kNoRank = ~uint32_t{0};
/// Up to this many symbols, looking through all of them for the best pair beats a heap.
constexpr size_t kMaxSymbolsToScan = 32;

uint64_t PairKey(TokenId left, TokenId right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

template <class Rules>
void MergeByScanning(const Rules& rules, std::string_view piece, std::vector<Symbol>& symbols) {
  Merge merges[kMaxSymbolsToScan];
  const auto find = [&](size_t i) {
    merges[i] = rules.Find(piece, symbols[i], symbols[i + 1]).value_or(Merge{kNoRank, -1});
  };
  size_t n = symbols.size();
  for (size_t i = 0; i + 1 < n; ++i) find(i);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoRank) break;
    symbols[best].id = merges[best].id;
    symbols[best].n_bytes += symbols[best + 1].n_bytes;
    std::copy(symbols.begin() + best + 2, symbols.begin() + n, symbols.begin() + best + 1);
    std::copy(merges + best + 1, merges + n - 1, merges + best);
    --n;
    if (best > 0) find(best - 1);
    if (best + 1 < n) find(best);
  }
  symbols.resize(n);
}

/// A pair waiting to be merged; outdated once one of its symbols has changed.
struct Candidate {
  uint32_t rank;
  uint32_t left;
  uint32_t n_bytes;
  TokenId id;
  bool operator<(const Candidate& other) const {  // std's heap gives the greatest first
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

template <class Rules>
void MergeByHeap(const Rules& rules, std::string_view piece, std::vector<Symbol>& symbols) {
  const auto n = static_cast<uint32_t>(symbols.size());
  std::vector<uint32_t> previous(n);
  std::vector<uint32_t> next(n);
  std::vector<Candidate> heap;
  heap.reserve(n);
  const auto add = [&](uint32_t left) {
    const Symbol& l = symbols[left];
    const Symbol& r = symbols[next[left]];
    const std::optional<Merge> merge = rules.Find(piece, l, r);
    if (!merge) return false;
    heap.push_back({merge->rank, left, l.n_bytes + r.n_bytes, merge->id});
    return true;
  };
  for (uint32_t i = 0; i < n; ++i) {
    previous[i] = i - 1;
    next[i] = i + 1;
    if (i + 1 < n) add(i);
  }
  std::make_heap(heap.begin(), heap.end());
  const auto push = [&](uint32_t left) {
    if (add(left)) std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    const Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    Symbol& left = symbols[best.left];
    const uint32_t right = next[best.left];
    // A symbol only grows, so equal lengths mean that neither has changed.
    if (left.n_bytes == 0 || right >= n || left.n_bytes + symbols[right].n_bytes != best.n_bytes) {
      continue;
    }
    left.id = best.id;
    left.n_bytes = best.n_bytes;
    symbols[right].n_bytes = 0;
    next[best.left] = next[right];
    if (next[right] < n) {
      previous[next[right]] = best.left;
      push(best.left);
    }
    if (best.left > 0) push(previous[best.left]);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.n_bytes == 0; });
}

template <class Rules>
void MergeSymbols(const Rules& rules, std::string_view piece, std::vector<Symbol>& symbols) {
  if (symbols.size() <= kMaxSymbolsToScan) {
    MergeByScanning(rules, piece, symbols);
  } else {
    MergeByHeap(rules, piece, symbols);
  }
}

}  // namespace

PairMerges::PairMerges(size_t n_merges) {
  size_t n_slots = 16;
  while (n_slots < 2 * n_merges) n_slots *= 2;
  slots_.assign(n_slots, {kNoPair, {0, -1}});
}

void PairMerges::Add(TokenId left, TokenId right, Merge merge) {
  const uint64_t pair = PairKey(left, right);
  size_t slot = HashNumber(seed_, pair) & (slots_.size() - 1);
  for (; slots_[slot].pair != kNoPair; slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot].pair == pair) return;
  }
  slots_[slot] = {pair, merge};
}

std::optional<Merge> PairMerges::Find(std::string_view, const Symbol& left,
                                      const Symbol& right) const {
  if (left.id < 0 || right.id < 0) return std::nullopt;
  const uint64_t pair = PairKey(left.id, right.id);
  for (size_t slot = HashNumber(seed_, pair) & (slots_.size() - 1); slots_[slot].pair != kNoPair;
       slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot].pair == pair) return slots_[slot].merge;
  }
  return std::nullopt;
}

void PairMerges::Run(std::string_view piece, std::vector<Symbol>& symbols) const {
  MergeSymbols(*this, piece, symbols);
}

std::optional<Merge> ConcatMerges::Find(std::string_view piece, const Symbol& left,
                                        const Symbol& right) const {
  const TokenId id = vocabulary_.FindText(piece.substr(left.begin, left.n_bytes + right.n_bytes));
  if (id < 0) return std::nullopt;
  return Merge{rank_of_[id], id};
}

void ConcatMerges::Run(std::string_view piece, std::vector<Symbol>& symbols) const {
  MergeSymbols(*this, piece, symbols);
}

}  // namespace lamina::text
