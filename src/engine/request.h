// One request on its way from prompt to text.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/sequence_pool.h"
#include "engine/speculation.h"
#include "engine/stop_matcher.h"

namespace lamina::engine {

/// Everything but `cancelled` belongs to the thread that steps.
class Request {
 public:
  Request(RequestId id, std::vector<int32_t> prompt, const GenerateOptions& options,
          TokenSink* sink, const text::Tokenizer& tokenizer, int64_t context);

  /// Tokens whose rows the model has not seen: the rest of the prompt; the last token chosen, and
  /// before it those that a wrong draft made the sequence forget.
  std::span<const int32_t> Pending() const;
  /// Whether the next rows continue an answer, rather than a prompt.
  bool IsDecoding() const { return n_generated() > 0 && std::ssize(Pending()) <= kMaxDraftedRows; }

  /// Most tokens that a draft may have: the answer must have room for them and one more.
  int MostDraft() const;
  /// The next step checks the first n_draft tokens of the speculation's draft; 0 = none.
  void SetDraft(int n_draft);
  int n_draft() const { return n_draft_; }
  /// The next step's n_rows, those of the draft included.
  std::span<const int32_t> StepIds(size_t n_rows) const;

  /// Chooses the tokens that a step's logits [1 + n_draft(), n_vocab] give: one, and one more for
  /// each drafted token that is the one chosen, so the draft changes no choice. Passes their text
  /// on and makes the sequence forget the rest of the draft. The reason to finish, if any.
  struct Outcome {
    FinishReason reason;
    Status status;
  };
  std::optional<Outcome> Accept(float* logits, int64_t n_vocab);
  /// What the last Accept chose.
  std::span<const int32_t> chosen() const { return std::span(chosen_).first(n_chosen_); }

  /// Passes on held-back text and reports the end. The request is over.
  void Finish(FinishReason reason, const Status& status);

  /// `speculation` may be null.
  void Start(SequencePool::Slot* slot, int64_t n_vocab, std::unique_ptr<Speculation> speculation);
  /// Most tokens that prompt and answer can come to.
  int64_t MostTokens() const;
  Speculation* speculation() const { return speculation_.get(); }
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
  std::optional<Outcome> Choose(std::span<float> logits);

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
  std::unique_ptr<Speculation> speculation_;
  int n_draft_ = 0;
  std::vector<int32_t> drafted_ids_;  ///< Pending tokens and the draft, where there is one.
  std::array<int32_t, kMaxDraftedRows> chosen_;
  size_t n_chosen_ = 0;
};

}  // namespace lamina::engine
