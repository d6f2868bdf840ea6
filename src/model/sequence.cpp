#include "model/sequence.h"

#include <algorithm>

namespace lamina::model {
namespace {

// A window keeps this many positions more than it shows, so that a few drafted or stopped tokens
// can be taken back.
constexpr int64_t kWindowSlack = kPageTokens;

// Free pages that a pool keeps resident for the next sequence.
constexpr int64_t kKeepBytes = int64_t{64} << 20;

bool OwnsKv(const LayerSpec& layer) {
  return layer.mixer == Mixer::kAttention && layer.kv_from_layer < 0;
}

int64_t PageBytes(const LayerSpec& layer, kernels::KvType type) {
  return kPageTokens * layer.n_kv_heads *
         (kernels::KvRowBytes(type, layer.d_head) + kernels::KvRowBytes(type, layer.d_value));
}

int64_t FirstKeptPage(int64_t window, int64_t n_tokens) {
  if (window == 0) return 0;
  return std::max<int64_t>(0, n_tokens - window - kWindowSlack) / kPageTokens;
}

}  // namespace

int64_t RecurrentValues(const ModelSpec& spec, const LayerSpec& layer) {
  switch (layer.mixer) {
    case Mixer::kAttention:
      return 0;
    case Mixer::kGatedDeltaNet: {
      const int64_t n_channels =
          2 * int64_t{spec.n_k_heads} * spec.d_k_head + int64_t{spec.n_v_heads} * spec.d_v_head;
      return n_channels * (spec.conv_kernel - 1) +
             int64_t{spec.n_v_heads} * (spec.d_k_head * spec.d_v_head + 2);
    }
    case Mixer::kShortConv:
      return spec.d_model * (spec.conv_kernel - 1);
  }
  return 0;
}

SequenceLayout LayOutSequences(const ModelSpec& spec, kernels::KvType kv_type, int64_t context,
                               std::vector<std::unique_ptr<PagePool>>* pools) {
  SequenceLayout layout;
  layout.context = context;
  for (const RopeSpec& rope : spec.ropes) {
    if (!rope.long_divisors.empty() && rope.original_context > 0)
      layout.original_context = rope.original_context;
  }
  std::vector<int64_t> asked_bytes;
  for (const LayerSpec& layer : spec.layers) {
    SequenceLayout::Layer& out = layout.layers.emplace_back();
    out.state_offset = layout.n_state;
    out.n_state = RecurrentValues(spec, layer);
    layout.n_state += out.n_state;
    if (!OwnsKv(layer)) continue;
    out.n_kv_heads = layer.n_kv_heads;
    out.k_head_bytes = kPageTokens * kernels::KvRowBytes(kv_type, layer.d_head);
    out.v_head_bytes = kPageTokens * kernels::KvRowBytes(kv_type, layer.d_value);
    out.window = layer.window;
    const int64_t page_bytes = PageBytes(layer, kv_type);
    const auto found = std::find(asked_bytes.begin(), asked_bytes.end(), page_bytes);
    const auto index = static_cast<size_t>(found - asked_bytes.begin());
    if (found == asked_bytes.end()) {
      asked_bytes.push_back(page_bytes);
      pools->push_back(std::make_unique<PagePool>(page_bytes, kKeepBytes));
    }
    out.pool = (*pools)[index].get();
  }
  return layout;
}

int64_t SequenceBytes(const ModelSpec& spec, kernels::KvType kv_type, int64_t n_tokens,
                      int64_t n_step) {
  int64_t bytes = 0;
  for (const LayerSpec& layer : spec.layers) {
    bytes += RecurrentValues(spec, layer) * static_cast<int64_t>(sizeof(float));
    if (!OwnsKv(layer)) continue;
    const int64_t n_pages = (n_tokens + kPageTokens - 1) / kPageTokens;
    const int64_t first_page = FirstKeptPage(layer.window, std::max<int64_t>(n_tokens - n_step, 0));
    bytes += (n_pages - first_page) * PageBytes(layer, kv_type);
  }
  return bytes;
}

SequenceState::SequenceState(std::shared_ptr<const void> owner, const SequenceLayout* layout)
    : owner_(std::move(owner)),
      layout_(layout),
      n_page_slots_((layout->context + kPageTokens - 1) / kPageTokens),
      layers_(layout->layers.size()),
      state_(static_cast<size_t>(layout->n_state), 0.0f) {
  const auto n_slots = static_cast<size_t>(n_page_slots_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layout->layers[i].pool == nullptr) continue;
    layers_[i].pages.assign(n_slots, nullptr);
    layers_[i].k.assign(n_slots * static_cast<size_t>(layout->layers[i].n_kv_heads), nullptr);
    layers_[i].v = layers_[i].k;
  }
}

SequenceState::~SequenceState() { Clear(); }

void SequenceState::SetPage(int layer, int64_t page, uint8_t* data) {
  const SequenceLayout::Layer& shape = layout_->layers[layer];
  Layer& state = layers_[layer];
  state.pages[page] = data;
  uint8_t* values = data ? data + shape.n_kv_heads * shape.k_head_bytes : nullptr;
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    const int64_t slot = head * n_page_slots_ + page;
    state.k[slot] = data ? data + head * shape.k_head_bytes : nullptr;
    state.v[slot] = data ? values + head * shape.v_head_bytes : nullptr;
  }
}

void SequenceState::GiveBack(int layer, int64_t page) {
  uint8_t* data = layers_[layer].pages[page];
  if (data == nullptr) return;
  SetPage(layer, page, nullptr);
  layout_->layers[layer].pool->Give(data);
}

Result<> SequenceState::CheckRoom(int64_t n_new) {
  const int64_t n_total = n_tokens_ + n_new;
  if (n_total > layout_->context) {
    return Error(Code::kOutOfRange,
                 "the context is full: {} tokens and {} more exceed its {}; ask for a larger "
                 "context or shorten the input",
                 n_tokens_, n_new, layout_->context);
  }
  if (layout_->original_context > 0 && n_total > layout_->original_context && !long_factors_) {
    if (n_tokens_ > 0) {
      return Error(Code::kFailedPrecondition,
                   "the sequence outgrows the original context of {} tokens: announce its length "
                   "and prefill it anew",
                   layout_->original_context);
    }
    long_factors_ = true;
  }
  return {};
}

Result<> SequenceState::Reserve(int64_t n_new) {
  const int64_t n_total = n_tokens_ + n_new;
  const int64_t end_page = (n_total + kPageTokens - 1) / kPageTokens;
  for (size_t i = 0; i < layers_.size(); ++i) {
    PagePool* pool = layout_->layers[i].pool;
    if (pool == nullptr) continue;
    for (Layer& layer = layers_[i]; layer.end_page < end_page; ++layer.end_page) {
      uint8_t* page = pool->Take();
      if (page == nullptr) {
        return Error(Code::kResourceExhausted,
                     "no memory for the keys and values of {} tokens; use a smaller context or "
                     "--kv q8_0",
                     n_total);
      }
      SetPage(static_cast<int>(i), layer.end_page, page);
    }
  }
  return {};
}

void SequenceState::Commit(int64_t n_new) {
  n_tokens_ += n_new;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const SequenceLayout::Layer& shape = layout_->layers[i];
    if (shape.pool == nullptr || shape.window == 0) continue;
    Layer& layer = layers_[i];
    const int64_t first = FirstKeptPage(shape.window, n_tokens_);
    for (; layer.first_page < first; ++layer.first_page) {
      GiveBack(static_cast<int>(i), layer.first_page);
    }
  }
}

Result<> SequenceState::Truncate(int64_t n_tokens) {
  if (n_tokens < 0 || n_tokens > n_tokens_) {
    return Error(Code::kOutOfRange, "cannot truncate a sequence of {} tokens to {}", n_tokens_,
                 n_tokens);
  }
  if (n_tokens == n_tokens_) return {};
  if (n_tokens == 0) {
    ClearState();
    return {};
  }
  if (layout_->n_state > 0) {
    return Error(Code::kFailedPrecondition,
                 "the recurrent state of a sequence of {} tokens cannot go back to {}", n_tokens_,
                 n_tokens);
  }
  if (const int64_t window = MovedWindow(n_tokens); window > 0) {
    return Error(Code::kFailedPrecondition,
                 "a sliding window of {} moved on: a sequence of {} tokens cannot go back to {}",
                 window, n_tokens_, n_tokens);
  }
  Shorten(n_tokens);
  return {};
}

void SequenceState::Checkpoint() {
  if (layout_->n_state == 0) return;
  checkpoint_ = state_;
  checkpoint_tokens_ = n_tokens_;
}

int64_t SequenceState::Rewind(int64_t n_tokens) {
  if (n_tokens >= n_tokens_) return n_tokens_;
  const bool recurrent = layout_->n_state > 0;
  const int64_t target = recurrent ? checkpoint_tokens_ : n_tokens;
  if (target <= 0 || target > n_tokens || MovedWindow(target) > 0) {
    ClearState();
    return 0;
  }
  Shorten(target);
  if (recurrent) std::copy(checkpoint_.begin(), checkpoint_.end(), state_.begin());
  return target;
}

int64_t SequenceState::Room() const {
  const int64_t original = layout_->original_context;
  const bool short_factors = original > 0 && n_tokens_ <= original && !long_factors_;
  return std::min(layout_->context, short_factors ? original : layout_->context) - n_tokens_;
}

int64_t SequenceState::MovedWindow(int64_t n_tokens) const {
  for (size_t i = 0; i < layers_.size(); ++i) {
    // The next token sees window - 1 positions before itself.
    const int64_t window = layout_->layers[i].window;
    if (window > 0 &&
        std::max<int64_t>(0, n_tokens + 1 - window) < layers_[i].first_page * kPageTokens) {
      return window;
    }
  }
  return 0;
}

void SequenceState::Shorten(int64_t n_tokens) {
  n_tokens_ = n_tokens;
  const int64_t end_page = (n_tokens + kPageTokens - 1) / kPageTokens;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layout_->layers[i].pool == nullptr) continue;
    Layer& layer = layers_[i];
    while (layer.end_page > end_page) GiveBack(static_cast<int>(i), --layer.end_page);
  }
}

void SequenceState::RollBack(int64_t n_tokens) {
  if (!dirty_ && Truncate(n_tokens)) return;
  ClearState();
}

void SequenceState::ClearState() {
  const bool long_factors = long_factors_;
  Clear();
  long_factors_ = long_factors;
}

void SequenceState::Clear() {
  dirty_ = false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    for (int64_t page = layer.first_page; page < layer.end_page; ++page) {
      GiveBack(static_cast<int>(i), page);
    }
    layer.first_page = layer.end_page = 0;
  }
  std::fill(state_.begin(), state_.end(), 0.0f);
  n_tokens_ = 0;
  checkpoint_tokens_ = -1;
  long_factors_ = false;
}

bool SequenceState::Announce(int64_t n_tokens_total) {
  const bool long_factors =
      layout_->original_context > 0 && n_tokens_total > layout_->original_context;
  if (long_factors == long_factors_) return false;
  const bool was_filled = n_tokens_ > 0;
  if (was_filled) Clear();
  long_factors_ = long_factors;
  return was_filled;
}

uint64_t SequenceState::bytes() const {
  uint64_t bytes = (state_.size() + checkpoint_.size()) * sizeof(float);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const PagePool* pool = layout_->layers[i].pool;
    if (pool == nullptr) continue;
    bytes += static_cast<uint64_t>(layers_[i].end_page - layers_[i].first_page) *
             static_cast<uint64_t>(pool->page_bytes());
  }
  return bytes;
}

}  // namespace lamina::model
