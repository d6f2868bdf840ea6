#include "engine/request.h"

#include <algorithm>

namespace lamina::engine {

Request::Request(RequestId id, std::vector<int32_t> prompt, const GenerateOptions& options,
                 TokenSink* sink, const text::Tokenizer& tokenizer, int64_t context)
    : id_(id),
      history_(std::move(prompt)),
      options_(options),
      sink_(sink),
      tokenizer_(tokenizer),
      context_(context),
      detokenizer_(tokenizer, !options.continues_text),
      stop_matcher_(options.stop) {
  timings_.n_prompt_tokens = std::ssize(history_);
}

std::span<const int32_t> Request::Pending() const {
  return std::span(history_).subspan(static_cast<size_t>(slot_->sequence->n_tokens()));
}

int64_t Request::MostTokens() const {
  const int64_t n_left = context_ - timings_.n_prompt_tokens;
  const int64_t n_answer = options_.max_tokens < 0 ? n_left : std::min(options_.max_tokens, n_left);
  return timings_.n_prompt_tokens + n_answer;
}

void Request::Start(SequencePool::Slot* slot, int64_t n_vocab,
                    std::unique_ptr<Speculation> speculation) {
  slot_ = slot;
  timings_.n_cached_tokens = slot->sequence->n_tokens();
  // Scratch is made when the request starts, so that a long queue holds little and decoding
  // allocates nothing.
  sampler_ = Sampler::Create(options_.sampler, n_vocab);
  history_.reserve(static_cast<size_t>(MostTokens()));
  speculation_ = std::move(speculation);
  if (speculation_ == nullptr) return;
  drafted_ids_.reserve(kMaxDraftedRows);
  slot_->sequence->Checkpoint();
}

int Request::MostDraft() const {
  const auto n_pending = std::ssize(Pending());
  const int64_t most = std::min({MostTokens() - std::ssize(history_) - 1,
                                 slot_->sequence->Room() - n_pending, kMaxDraftedRows - n_pending});
  return static_cast<int>(std::max<int64_t>(most, 0));
}

void Request::SetDraft(int n_draft) {
  n_draft_ = n_draft;
  if (n_draft == 0) return;
  const auto pending = Pending();
  const auto& draft = speculation_->chosen->draft.tokens;
  drafted_ids_.assign(pending.begin(), pending.end());
  drafted_ids_.insert(drafted_ids_.end(), draft.begin(), draft.begin() + n_draft);
  slot_->sequence->Checkpoint();
}

std::span<const int32_t> Request::StepIds(size_t n_rows) const {
  return n_draft_ > 0 ? std::span(drafted_ids_) : Pending().first(n_rows);
}

std::optional<Request::Outcome> Request::Accept(float* logits, int64_t n_vocab) {
  const auto n_sure = std::ssize(history_);
  n_chosen_ = 0;
  std::optional<Outcome> outcome;
  int n_right = 0;
  for (bool goes_on = true; goes_on; logits += n_vocab) {
    outcome = Choose({logits, static_cast<size_t>(n_vocab)});
    const bool is_right = n_right < n_draft_ && std::ssize(history_) == n_sure + n_right + 1 &&
                          history_.back() == speculation_->chosen->draft.tokens[n_right];
    n_right += is_right;
    goes_on = is_right && !outcome;
  }
  if (n_draft_ > 0) {
    timings_.n_drafted_tokens += n_draft_;
    timings_.n_accepted_tokens += n_right;
    slot_->sequence->Rewind(n_sure + n_right);
    n_draft_ = 0;
  }
  return outcome;
}

std::optional<Request::Outcome> Request::Choose(std::span<float> logits) {
  const auto sampled = sampler_->Sample(logits, history_);
  if (!sampled) return Outcome{FinishReason::kError, sampled.status()};
  const int32_t token = *sampled;
  chosen_[n_chosen_++] = token;
  ++timings_.n_generated_tokens;
  if (tokenizer_.IsEndOfGeneration(token) && !options_.ignore_eos) {
    return Outcome{FinishReason::kStop, {}};
  }
  history_.push_back(token);
  sink_->OnText(stop_matcher_.Push(detokenizer_.Push(token)), token);
  if (stop_matcher_.stopped()) return Outcome{FinishReason::kStop, {}};
  if (timings_.n_generated_tokens == options_.max_tokens || std::ssize(history_) >= context_) {
    return Outcome{FinishReason::kLength, {}};
  }
  return std::nullopt;
}

void Request::Finish(FinishReason reason, const Status& status) {
  std::string rest = stop_matcher_.Push(detokenizer_.Finish());
  rest += stop_matcher_.Finish();
  if (!rest.empty()) sink_->OnText(rest, -1);
  sink_->OnFinish(reason, status, timings_);
}

}  // namespace lamina::engine
