// The sequences of an engine: which request has which, and what idle ones still know.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace lamina::engine {

/// Sequences are made when needed and kept between requests. Belongs to the thread that steps.
class SequencePool {
 public:
  struct Slot {
    std::unique_ptr<model::Sequence> sequence;
    std::vector<int32_t> ids;  ///< While idle: the tokens that the sequence's state stands for.
    uint64_t scope = 0;        ///< Who may reuse them; 0 = nobody.
    uint64_t last_use = 0;
    bool busy = false;
  };

  SequencePool(const model::Model& model, int max_sequences)
      : model_(model), max_sequences_(max_sequences) {}

  /// A slot whose sequence holds a prefix of `prompt`, as long as an idle one of the same scope
  /// shares, but never all of it: the last token gives the logits. Null where all are busy.
  /// Errors: kResourceExhausted where not even forgetting idle sequences makes room for a new one.
  Result<Slot*> Acquire(std::span<const int32_t> prompt, uint64_t scope);

  /// Returns a slot. `history`: the tokens of which the sequence holds the first n_tokens().
  void Release(Slot* slot, std::span<const int32_t> history, uint64_t scope);

 private:
  Slot* BestIdle(std::span<const int32_t> prompt, uint64_t scope);
  Slot* OldestIdle();
  /// Adds a slot, dropping idle ones if memory asks for it.
  Result<Slot*> Grow();

  const model::Model& model_;
  const int max_sequences_;
  std::vector<std::unique_ptr<Slot>> slots_;
  uint64_t clock_ = 0;
};

}  // namespace lamina::engine
