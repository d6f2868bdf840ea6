// One request on its way from prompt to text.
#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/sequence_pool.h"
#include "engine/stop_matcher.h"

namespace lamina::engine {

/// Everything but `cancelled` belongs to the thread that steps.
class Request {
 public:
  Request(RequestId id, std::vector<int32_t> prompt, const GenerateOptions& options,
          TokenSink* sink, const text::Tokenizer& tokenizer, int64_t context);

  /// Tokens whose rows the model has not seen: the rest of the prompt, or the last token chosen.
  std::span<const int32_t> Pending() const;
  /// Whether the next row continues an answer, rather than a prompt.
  bool IsDecoding() const { return n_generated() > 0 && Pending().size() == 1; }

  /// Chooses a token from logits [n_vocab] and passes its text on. The reason to finish, if any.
  struct Outcome {
    FinishReason reason;
    Status status;
  };
  std::optional<Outcome> Accept(std::span<float> logits);

  /// Passes on held-back text and reports the end. The request is over.
  void Finish(FinishReason reason, const Status& status);

  void Start(SequencePool::Slot* slot, int64_t n_vocab);
  SequencePool::Slot* slot() const { return slot_; }
  RequestId id() const { return id_; }
  const std::vector<int32_t>& history() const { return history_; }
  const GenerateOptions& options() const { return options_; }
  int64_t n_generated() const { return timings_.n_generated_tokens; }
  void AddTime(bool decoding, double ms) {
    (decoding ? timings_.decode_ms : timings_.prefill_ms) += ms;
  }

  std::atomic<bool> cancelled{false};

 private:
  const RequestId id_;
  std::vector<int32_t> history_;  ///< Prompt and answer.
  const GenerateOptions options_;
  TokenSink* const sink_;
  const text::Tokenizer& tokenizer_;
  const int64_t context_;
  std::unique_ptr<Sampler> sampler_;
  text::Detokenizer detokenizer_;
  StopMatcher stop_matcher_;
  Timings timings_;
  SequencePool::Slot* slot_ = nullptr;
};

}  // namespace lamina::engine
