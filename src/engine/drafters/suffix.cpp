#include "engine/drafters/suffix.h"

#include <bit>
#include <vector>

#include "engine/drafters/lookup.h"

namespace lamina::engine {
namespace {

// A token is counted in this many of the ends of the text that it completes, the longest first: a
// text that repeats one token has as many as it is long.
constexpr int kMostCounted = 64;

// The smallest automaton of all substrings of a text. A state stands for the substrings that end at
// the same places; `length` is that of the longest.
class SuffixAutomaton {
 public:
  static constexpr int32_t kNone = -1;
  static constexpr int32_t kRoot = 0;

  struct State {
    int32_t length;
    int32_t link;        ///< The state of the longest suffix that also ends elsewhere.
    int32_t first_edge;  ///< A list, the newest first.
    int32_t count;       ///< Occurrences.
    int32_t last_end;    ///< Where the latest one ends.
  };
  struct Edge {
    int32_t from, token, to, next;
  };

  // At most 2n states, 3n edges for a text of n tokens.
  explicit SuffixAutomaton(int64_t most_tokens)
      : slots_(std::bit_ceil(static_cast<size_t>(6 * most_tokens + 1)), kNone),
        most_tokens_(most_tokens) {
    states_.reserve(static_cast<size_t>(2 * most_tokens + 1));
    edges_.reserve(static_cast<size_t>(3 * most_tokens + 1));
    states_.push_back({0, kNone, kNone, 0, 0});
  }

  int64_t n_tokens() const { return n_tokens_; }
  bool full() const { return n_tokens_ >= most_tokens_; }
  const State& state(int32_t index) const { return states_[static_cast<size_t>(index)]; }
  const Edge& edge(int32_t index) const { return edges_[static_cast<size_t>(index)]; }
  /// The longest end of the text that occurred before.
  int32_t matched() const { return n_tokens_ == 0 ? kRoot : state(last_).link; }

  void Append(int32_t token) {
    ++n_tokens_;
    const int32_t added = AddState({state(last_).length + 1, kRoot, kNone, 0, 0});
    int32_t at = last_;
    for (; at != kNone && FindEdge(at, token) == kNone; at = state(at).link) {
      AddEdge(at, token, added);
    }
    if (at != kNone) states_[static_cast<size_t>(added)].link = LinkTarget(at, token);
    last_ = added;
    int n_counted = 0;
    for (int32_t s = added; s != kRoot && n_counted < kMostCounted;
         s = state(s).link, ++n_counted) {
      ++states_[static_cast<size_t>(s)].count;
      states_[static_cast<size_t>(s)].last_end = n_tokens_;
    }
  }

 private:
  // The state that stands for exactly the longest string of `at` and `token`: where the edge leads
  // to longer strings too, a state is split off.
  int32_t LinkTarget(int32_t at, int32_t token) {
    const int32_t target = edge(FindEdge(at, token)).to;
    if (state(at).length + 1 == state(target).length) return target;
    State shorter = state(target);
    shorter.length = state(at).length + 1;
    shorter.first_edge = kNone;
    const int32_t split = AddState(shorter);
    for (int32_t e = state(target).first_edge; e != kNone; e = edge(e).next) {
      AddEdge(split, edge(e).token, edge(e).to);
    }
    states_[static_cast<size_t>(target)].link = split;
    for (; at != kNone; at = state(at).link) {
      const int32_t e = FindEdge(at, token);
      if (e == kNone || edge(e).to != target) break;
      edges_[static_cast<size_t>(e)].to = split;
    }
    return split;
  }

  int32_t AddState(const State& state) {
    states_.push_back(state);
    return static_cast<int32_t>(states_.size()) - 1;
  }

  void AddEdge(int32_t from, int32_t token, int32_t to) {
    const auto index = static_cast<int32_t>(edges_.size());
    State& state = states_[static_cast<size_t>(from)];
    edges_.push_back({from, token, to, state.first_edge});
    state.first_edge = index;
    slots_[FindSlot(from, token)] = index;
  }

  int32_t FindEdge(int32_t from, int32_t token) const { return slots_[FindSlot(from, token)]; }

  // Open addressing, at most half full.
  size_t FindSlot(int32_t from, int32_t token) const {
    uint64_t hash = (uint64_t{static_cast<uint32_t>(from)} << 32 | static_cast<uint32_t>(token)) *
                    0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    for (size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i] == kNone) return i;
      const Edge& found = edge(slots_[i]);
      if (found.from == from && found.token == token) return i;
    }
  }

  std::vector<State> states_;
  std::vector<Edge> edges_;
  std::vector<int32_t> slots_;  ///< Edges by state and token.
  int64_t most_tokens_;
  int32_t n_tokens_ = 0;
  int32_t last_ = kRoot;  ///< The state of the whole text.
};

class SuffixDrafter : public Drafter {
 public:
  explicit SuffixDrafter(int64_t most_tokens) : text_(most_tokens) {}

  void Propose(std::span<const int32_t> history, const DraftLimits& limits, Draft* draft) override {
    draft->n = 0;
    while (text_.n_tokens() < std::ssize(history) && !text_.full()) {
      text_.Append(history[static_cast<size_t>(text_.n_tokens())]);
    }
    if (text_.n_tokens() != std::ssize(history)) return;
    int32_t at = text_.matched();
    int n_matched = text_.state(at).length;
    while (draft->n < limits.most) {
      // At the text's own end a shorter end of it goes on: so a text in a loop is drafted on.
      while (at != SuffixAutomaton::kRoot && text_.state(at).first_edge == SuffixAutomaton::kNone) {
        at = text_.state(at).link;
        n_matched = text_.state(at).length;
      }
      if (at == SuffixAutomaton::kRoot) return;
      const Choice choice = MostFrequent(at);
      draft->Add(choice.token, LookupClass(n_matched, choice.share));
      at = choice.to;
      ++n_matched;
    }
  }

 private:
  struct Choice {
    int32_t token, to;
    double share;
  };

  Choice MostFrequent(int32_t at) const {
    const SuffixAutomaton::Edge* best = nullptr;
    int64_t n_all = 0;
    for (int32_t e = text_.state(at).first_edge; e != SuffixAutomaton::kNone;
         e = text_.edge(e).next) {
      const auto& edge = text_.edge(e);
      const auto& state = text_.state(edge.to);
      n_all += state.count;
      const auto better = [&](const SuffixAutomaton::State& other) {
        return state.count != other.count ? state.count > other.count
                                          : state.last_end > other.last_end;
      };
      if (best == nullptr || better(text_.state(best->to))) best = &edge;
    }
    const double share = static_cast<double>(text_.state(best->to).count) /
                         static_cast<double>(n_all > 0 ? n_all : 1);
    return {best->token, best->to, share > 0 ? share : 1};
  }

  SuffixAutomaton text_;
};

}  // namespace

Result<std::unique_ptr<Drafter>> MakeSuffixDrafter(const DrafterContext& context) {
  return std::make_unique<SuffixDrafter>(context.most_tokens);
}

}  // namespace lamina::engine
