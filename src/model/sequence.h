// What one sequence remembers: pages of keys and values per layer, recurrent state, its rotary
// regime.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/table.h"
#include "model/model.h"
#include "model/page_pool.h"
#include "model/spec.h"

namespace lamina::model {

/// Positions per page. A window keeps whole pages, so smaller pages waste less and cost more
/// pointers.
inline constexpr int kPageTokens = 64;

/// What a model's sequences have in common; owned by the model.
struct SequenceLayout {
  struct Layer {
    PagePool* pool = nullptr;  ///< Null where the layer stores no keys and values of its own.
    int n_kv_heads = 0;
    int64_t k_head_bytes = 0;  ///< kPageTokens rows of one head's keys.
    int64_t v_head_bytes = 0;
    int64_t window = 0;  ///< 0 = all positions are kept.
    int64_t state_offset = 0;
    int64_t n_state = 0;  ///< f32 values of recurrent state.
  };
  std::vector<Layer> layers;
  int64_t n_state = 0;  ///< Of all layers.
  int64_t context = 0;  ///< Most positions of a sequence.
  /// Sequences longer than this use the long rotary factors; 0 = there are none.
  int64_t original_context = 0;
};

/// The layout of a spec's sequences; fills `pools` with one pool per size of page.
SequenceLayout LayOutSequences(const ModelSpec& spec, kernels::KvType kv_type, int64_t context,
                               std::vector<std::unique_ptr<PagePool>>* pools);

/// Most bytes of keys, values and recurrent state of one sequence that grew to n_tokens in steps of
/// up to n_step: while a step runs, a window holds its rows too.
int64_t SequenceBytes(const ModelSpec& spec, kernels::KvType kv_type, int64_t n_tokens,
                      int64_t n_step);

/// f32 values of recurrent state of a layer; 0 for attention.
int64_t RecurrentValues(const ModelSpec& spec, const LayerSpec& layer);

class SequenceState final : public Sequence {
 public:
  SequenceState(std::shared_ptr<const void> owner, const SequenceLayout* layout);
  ~SequenceState() override;

  int64_t n_tokens() const override { return n_tokens_; }
  Result<> Truncate(int64_t n_tokens) override;
  void Checkpoint() override;
  int64_t Rewind(int64_t n_tokens) override;
  int64_t Room() const override;
  void Clear() override;
  bool Announce(int64_t n_tokens_total) override;
  uint64_t bytes() const override;

  /// Whether n_new more positions may follow; an empty sequence takes the rotary factors that they
  /// need. Errors: kOutOfRange, kFailedPrecondition where the sequence would outgrow its factors
  /// unannounced.
  Result<> CheckRoom(int64_t n_new);
  /// Takes pages for n_new more positions, which CheckRoom allowed. Errors: kResourceExhausted.
  Result<> Reserve(int64_t n_new);
  /// The n_new positions are filled: pages that left every window go back to their pool.
  void Commit(int64_t n_new);
  /// The recurrent state is that of an unknown number of positions: a step was broken off.
  void MarkDirty() { dirty_ = layout_->n_state > 0; }
  /// Back to n_tokens as they were before a step that failed, or to an empty sequence where that is
  /// impossible.
  void RollBack(int64_t n_tokens);

  bool long_factors() const { return long_factors_; }
  const SequenceLayout& layout() const { return *layout_; }
  /// Page pointers of a layer's KV head, by page: as AttentionArgs wants them.
  const void* const* k_pages(int layer, int kv_head) const {
    return &layers_[layer].k[static_cast<size_t>(kv_head) * n_page_slots_];
  }
  const void* const* v_pages(int layer, int kv_head) const {
    return &layers_[layer].v[static_cast<size_t>(kv_head) * n_page_slots_];
  }
  /// Recurrent state of a layer, [layout n_state] f32, zero at the start.
  float* recurrent(int layer) { return state_.data() + layout_->layers[layer].state_offset; }

 private:
  struct Layer {
    std::vector<uint8_t*> pages;  ///< [n_page_slots], null outside the window.
    std::vector<const void*> k;   ///< [n_kv_heads][n_page_slots]
    std::vector<const void*> v;
    int64_t first_page = 0;  ///< The first that is not given back.
    int64_t end_page = 0;    ///< One past the last taken.
  };
  /// The sliding window of `window` positions that moved on too far for n_tokens; 0 = none did.
  int64_t MovedWindow(int64_t n_tokens) const;
  /// Forgets keys and values from n_tokens on.
  void Shorten(int64_t n_tokens);
  /// As a new sequence, but for the rotary factors.
  void ClearState();
  void GiveBack(int layer, int64_t page);
  void SetPage(int layer, int64_t page, uint8_t* data);

  std::shared_ptr<const void> owner_;  ///< The model: pools must outlive the pages.
  const SequenceLayout* layout_;
  int64_t n_page_slots_;
  int64_t n_tokens_ = 0;
  bool long_factors_ = false;
  bool dirty_ = false;
  std::vector<Layer> layers_;
  std::vector<float> state_;
  std::vector<float> checkpoint_;   ///< state_ at checkpoint_tokens_.
  int64_t checkpoint_tokens_ = -1;  ///< -1 = there is none.
};

}  // namespace lamina::model
