#include "engine/sequence_pool.h"

#include <algorithm>

namespace lamina::engine {
namespace {

int64_t CommonPrefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  const size_t n = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first -
         a.begin();
}

}  // namespace

SequencePool::Slot* SequencePool::BestIdle(std::span<const int32_t> prompt, uint64_t scope) {
  Slot* best = nullptr;
  int64_t longest = 0;
  if (scope == 0) return nullptr;
  for (const auto& slot : slots_) {
    if (slot->busy || slot->scope != scope) continue;
    const int64_t common = CommonPrefix(slot->ids, prompt);
    if (common <= longest) continue;
    longest = common;
    best = slot.get();
  }
  return best;
}

SequencePool::Slot* SequencePool::OldestIdle() {
  Slot* oldest = nullptr;
  for (const auto& slot : slots_) {
    if (slot->busy) continue;
    if (!oldest || slot->last_use < oldest->last_use) oldest = slot.get();
  }
  return oldest;
}

Result<SequencePool::Slot*> SequencePool::Grow() {
  for (;;) {
    auto sequence = model_.NewSequence();
    if (sequence) {
      slots_.push_back(std::make_unique<Slot>());
      slots_.back()->sequence = std::move(*sequence);
      return slots_.back().get();
    }
    Slot* oldest = OldestIdle();
    if (!oldest) return Error(sequence.status());
    std::erase_if(slots_, [=](const auto& slot) { return slot.get() == oldest; });
  }
}

Result<SequencePool::Slot*> SequencePool::Acquire(std::span<const int32_t> prompt, uint64_t scope) {
  Slot* slot = BestIdle(prompt, scope);
  if (!slot) {
    Slot* oldest = OldestIdle();
    const bool is_blank = oldest && oldest->ids.empty();
    if (!is_blank && std::ssize(slots_) < max_sequences_) {
      slot = TRY(Grow());
    } else {
      slot = oldest;
    }
    if (!slot) return nullptr;
  }
  const int64_t n_keep =
      std::min(CommonPrefix(slot->ids, prompt), static_cast<int64_t>(prompt.size()) - 1);
  model::Sequence& sequence = *slot->sequence;
  const bool reusable = slot->scope == scope && scope != 0 && n_keep > 0;
  if (!reusable || (sequence.n_tokens() > n_keep && !sequence.Truncate(n_keep))) sequence.Clear();
  slot->ids.clear();
  slot->busy = true;
  return slot;
}

void SequencePool::Release(Slot* slot, std::span<const int32_t> history, uint64_t scope) {
  slot->busy = false;
  slot->last_use = ++clock_;
  slot->scope = scope;
  if (scope == 0) {
    slot->sequence->Clear();
    slot->ids.clear();
    slot->last_use = 0;  // Nothing is lost by taking it first.
    return;
  }
  const auto known = history.first(static_cast<size_t>(slot->sequence->n_tokens()));
  slot->ids.assign(known.begin(), known.end());
}

}  // namespace lamina::engine
