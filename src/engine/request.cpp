#include "engine/request.h"

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

void Request::Start(SequencePool::Slot* slot, int64_t n_vocab) {
  slot_ = slot;
  timings_.n_cached_tokens = slot->sequence->n_tokens();
  // Scratch is made when the request starts, so that a long queue holds little and decoding
  // allocates nothing.
  sampler_ = Sampler::Create(options_.sampler, n_vocab);
  history_.reserve(static_cast<size_t>(context_));
}

std::optional<Request::Outcome> Request::Accept(std::span<float> logits) {
  const auto chosen = sampler_->Sample(logits, history_);
  if (!chosen) return Outcome{FinishReason::kError, chosen.status()};
  const int32_t token = *chosen;
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
