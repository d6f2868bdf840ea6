// A loaded model: the forward pass over rows of any number of sequences.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "format/model_source.h"
#include "format/packed_file.h"
#include "kernels/dispatch.h"
#include "model/profile.h"
#include "model/spec.h"

namespace lamina::model {

struct LoadOptions {
  const kernels::Table* kernels = nullptr;  ///< null = kernels::Select("").
  /// "f32", "f16", "bf16", "q8_0"; "" = f16, or f32 where the weights are F32.
  std::string kv_type;
  int64_t context = 0;       ///< Tokens to plan memory for; 0 = min(4096, the model's).
  bool check_memory = true;  ///< Refuse a model that machine or cgroup cannot hold.
  /// Memory to plan with, in bytes; 0 = what machine and cgroup have.
  uint64_t memory_limit_bytes = 0;
  Profile* profile = nullptr;  ///< Filled by steps while it is started; outlives the model.
  /// Where packed weights are kept from one load to the next; null = each load packs them.
  format::PackedStore* packed_store = nullptr;
  /// Called while weights are packed, from the loading thread; may be empty.
  std::function<void(uint64_t done_bytes, uint64_t total_bytes)> on_packing;
};

/// What a model needs in bytes, before anything is allocated.
struct MemoryNeed {
  uint64_t weight_bytes, kv_bytes, activation_bytes;
  uint64_t total() const { return weight_bytes + kv_bytes + activation_bytes; }
};

class Model;

/// The state of one sequence: pages of keys and values, recurrent state, the rotary regime.
/// Belongs to one thread at a time.
class Sequence {
 public:
  virtual ~Sequence() = default;
  virtual int64_t n_tokens() const = 0;
  /// Forgets positions >= n_tokens. Errors: kFailedPrecondition where recurrent state or a window
  /// that moved on makes it impossible; then Clear and prefill again.
  virtual Result<> Truncate(int64_t n_tokens) = 0;
  /// Remembers the recurrent state of this length, so that Rewind can return to it. The first call
  /// allocates, where there is recurrent state at all.
  virtual void Checkpoint() = 0;
  /// Goes back to the greatest length <= n_tokens that it can (at worst 0) and returns it: any
  /// within the last 16 rows for keys and values, the checkpoint's for recurrent state.
  virtual int64_t Rewind(int64_t n_tokens) = 0;
  /// Positions that may follow as things are: those that the context, and this set of rotary
  /// factors, leave.
  virtual int64_t Room() const = 0;
  virtual void Clear() = 0;
  /// Announces the length that the sequence will reach, so that chunks of one prompt use one set of
  /// rotary factors. Returns true where the factors changed: the state was cleared, and the whole
  /// sequence must be prefilled anew.
  virtual bool Announce(int64_t n_tokens_total) = 0;
  virtual uint64_t bytes() const = 0;
};

/// Consecutive rows of one sequence in a step.
struct StepPart {
  Sequence* sequence;
  std::span<const int32_t> ids;
  /// Logits are computed for the last n_logits rows of ids (0 = none, ids.size() = all).
  int64_t n_logits;
};

class Model {
 public:
  /// Opens, validates, checks memory, packs. Errors: kUnimplemented names the architecture and
  /// those supported; kInvalidArgument names the field or tensor; kResourceExhausted says need and
  /// have.
  static Result<std::shared_ptr<const Model>> Load(const format::ModelSource& source,
                                                   ThreadPool& pool, const LoadOptions& options);
  virtual ~Model() = default;

  virtual const ModelSpec& spec() const = 0;
  virtual const char* isa() const = 0;
  virtual const char* kv_type() const = 0;
  virtual uint64_t weight_bytes() const = 0;
  /// Bytes read from memory for one decoded token at `depth` (weights used, and keys and values).
  virtual uint64_t bytes_per_token(int64_t depth) const = 0;
  /// Errors: kResourceExhausted.
  virtual Result<std::unique_ptr<Sequence>> NewSequence() const = 0;

  /// One step: appends every part's ids to its sequence and writes logits [sum of n_logits,
  /// n_vocab] f32, parts in order. A sequence appears once per step. `cancel` (may be null) is read
  /// at every layer. Errors: kCancelled, kOutOfRange (context full; names the limit),
  /// kInvalidArgument (an id outside the vocabulary); after an error the parts' sequences are as
  /// before the step, or, where that is impossible (recurrent state), cleared.
  virtual Result<> Forward(ThreadPool& pool, std::span<const StepPart> parts, float* logits,
                           const std::atomic<bool>* cancel) const = 0;
};

/// The need of a model at a context length, from its configuration alone.
Result<MemoryNeed> EstimateMemory(const format::ModelSource& source, const LoadOptions& options);

}  // namespace lamina::model
