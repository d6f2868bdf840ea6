#include "engine/drafters/ngram.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "engine/drafters/lookup.h"

namespace lamina::engine {
namespace {

constexpr int kMostOrder = 4;
constexpr int kMostMatched = 32;  // Longer matches are of the same class.

class NgramDrafter : public Drafter {
 public:
  explicit NgramDrafter(int64_t most_tokens)
      : slots_(std::bit_ceil(2 * static_cast<size_t>(kMostOrder * most_tokens + 1))) {}

  void Propose(std::span<const int32_t> history, const DraftLimits& limits, Draft* draft) override {
    draft->n = 0;
    const auto n = static_cast<int32_t>(history.size());
    // The text's own end is not an earlier occurrence: it goes in when a token has followed it.
    for (; n_indexed_ + 1 < n; ++n_indexed_) {
      const int32_t end = n_indexed_ + 1;
      for (int order = 1; order <= std::min(kMostOrder, end); ++order) {
        FindSlot(history, end, order) = {end, order};
      }
    }
    for (int order = std::min(kMostOrder, n); order > 0; --order) {
      const int32_t end = FindSlot(history, n, order).end;
      if (end == 0) continue;
      int matched = order;
      while (matched < std::min(kMostMatched, end) &&
             Back(history, end, matched) == Back(history, n, matched)) {
        ++matched;
      }
      for (int i = 0; i < limits.most; ++i) {
        // Past the text's end the draft repeats itself, as a text in a loop does.
        const auto from = static_cast<size_t>(end) + static_cast<size_t>(i);
        const int32_t token =
            from < history.size() ? history[from] : draft->tokens[from - history.size()];
        draft->Add(token, LookupClass(matched + i, 1.0));
      }
      return;
    }
  }

 private:
  /// The `order` tokens that end before token number `end` of the text; end 0 = none.
  struct Slot {
    int32_t end = 0;
    int32_t order = 0;
  };

  // The token `back` places before the last of the first `end`.
  static int32_t Back(std::span<const int32_t> history, int32_t end, int back) {
    return history[static_cast<size_t>(end - 1 - back)];
  }

  // The slot of the `order` tokens before `end`, or the empty one where they belong. Keys are
  // compared in the text itself.
  Slot& FindSlot(std::span<const int32_t> history, int32_t end, int order) {
    uint64_t hash = static_cast<uint64_t>(order);
    for (int i = 0; i < order; ++i) {
      hash = (hash ^ static_cast<uint32_t>(Back(history, end, i))) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 32;
    }
    for (size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[i];
      if (slot.end == 0) return slot;
      if (slot.order != order) continue;
      const auto begin = [&](int32_t at) { return history.begin() + (at - order); };
      if (std::equal(begin(end), begin(end) + order, begin(slot.end))) return slot;
    }
  }

  std::vector<Slot> slots_;  ///< Open addressing, at most half full.
  int32_t n_indexed_ = 0;    ///< Ends up to here are in the table.
};

}  // namespace

Result<std::unique_ptr<Drafter>> MakeNgramDrafter(const DrafterContext& context) {
  return std::make_unique<NgramDrafter>(context.most_tokens);
}

}  // namespace lamina::engine
