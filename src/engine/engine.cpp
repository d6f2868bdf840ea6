#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>

#include "engine/request.h"
#include "engine/sequence_pool.h"
#include "engine/speculation.h"

namespace lamina::engine {
namespace {

using Clock = std::chrono::steady_clock;

// While others are being answered, a prompt gets only as many rows per step as take this long: a
// pause between two words that a reader hardly notices. A whole chunk of 512 rows takes about 0.4 s
// on a 135M model and 3 s on a 1B one (two AVX2 cores).
constexpr double kPromptMsBesideAnswers = 50;
// At least this many, so that slow models' prompts come to an end; also while the speed is unknown.
constexpr int64_t kLeastPromptRows = 16;

// Rows of logits that a request's drafts may fill: memory beside weights and KV stays in bounds
// with a vocabulary of 262,144, where a row is 1 MiB.
constexpr int64_t kMostDraftedLogitBytes = 4 << 20;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (n == 0 || lead > 0xf4 || i + n > text.size()) return false;
    for (size_t j = 1; j < n; ++j) {
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return false;
    }
    i += n;
  }
  return true;
}

class EngineImpl : public Engine {
 public:
  EngineImpl(std::shared_ptr<const model::Model> model,
             std::shared_ptr<const text::Tokenizer> tokenizer, ThreadPool& pool,
             const EngineOptions& options, std::unique_ptr<Speculator> speculator)
      : model_(std::move(model)),
        tokenizer_(std::move(tokenizer)),
        pool_(pool),
        options_(options),
        n_vocab_(model_->spec().n_vocab),
        sequences_(*model_, options.max_sequences),
        speculator_(std::move(speculator)) {}

  ~EngineImpl() override {
    for (const auto& request : active_) request->Finish(FinishReason::kCancelled, {});
    for (const auto& request : waiting_) request->Finish(FinishReason::kCancelled, {});
  }

  Result<RequestId> Submit(std::vector<int32_t> prompt, const GenerateOptions& options,
                           TokenSink* sink) override {
    TRY(Check(prompt, options));
    const std::lock_guard lock(mutex_);
    const RequestId id = ++last_id_;
    waiting_.push_back(std::make_unique<Request>(id, std::move(prompt), options, sink, *tokenizer_,
                                                 options_.context));
    return id;
  }

  void Cancel(RequestId id) override {
    const std::lock_guard lock(mutex_);
    const auto cancel = [=](const auto& requests) {
      for (const auto& request : requests) {
        if (request->id() == id) request->cancelled = true;
      }
    };
    cancel(waiting_);
    cancel(active_);
    if (AllCancelled()) cancel_step_ = true;
  }

  bool Step() override {
    FinishCancelled();
    bool worked = Admit();
    PlanStep();
    if (!step_.empty()) {
      worked = true;
      Draft();
      Advance(step_);
      const std::lock_guard lock(mutex_);
      step_.clear();
    }
    return DropFinished() || worked;
  }

  const model::Model& model() const override { return *model_; }
  const text::Tokenizer& tokenizer() const override { return *tokenizer_; }
  int64_t context() const override { return options_.context; }

 private:
  Result<> Check(const std::vector<int32_t>& prompt, const GenerateOptions& options) const;
  void FinishCancelled();
  bool Admit();
  void PlanStep();
  int64_t PromptRowsPerStep() const;
  void Draft();
  void ReserveLogits(int64_t n_rows) {
    if (n_rows <= n_logits_) return;
    logits_.reset(new float[static_cast<size_t>(n_rows * n_vocab_)]);
    n_logits_ = n_rows;
  }
  // A step stops halfway only where nobody wants its outcome.
  bool AllCancelled() const {
    return std::all_of(step_.begin(), step_.end(),
                       [](const Request* request) { return request->cancelled.load(); });
  }
  void Advance(std::span<Request* const> requests);
  void Recover(std::span<Request* const> requests, size_t first, const Status& error);
  // Tells the speculator about a step that took ms.
  void Learn(double ms);
  void End(Request& request, FinishReason reason, const Status& status);
  bool DropFinished();

  const std::shared_ptr<const model::Model> model_;
  const std::shared_ptr<const text::Tokenizer> tokenizer_;
  ThreadPool& pool_;
  const EngineOptions options_;
  const int64_t n_vocab_;

  std::mutex mutex_;  // Guards the three lists; only the stepping thread changes active_ and step_.
  std::deque<std::unique_ptr<Request>> waiting_;
  std::vector<std::unique_ptr<Request>> active_;
  std::vector<Request*> step_;
  std::atomic<bool> cancel_step_{false};
  RequestId last_id_ = 0;

  // Of the stepping thread alone.
  SequencePool sequences_;
  std::vector<std::unique_ptr<Request>> finished_;
  std::vector<int64_t> n_rows_;   // Per request of step_.
  double ms_per_prompt_row_ = 0;  // In the last step that had enough of them; 0 = unknown.
  std::vector<model::StepPart> parts_;
  std::unique_ptr<float[]> logits_;               // Not touched before it is written.
  int64_t n_logits_ = 0;                          // Rows of it.
  const std::unique_ptr<Speculator> speculator_;  // Null = off.
  std::vector<Turn> turns_;                       // Per request of step_, where all decode.
  std::vector<std::span<const int32_t>> chosen_;  // Likewise.
  bool reads_prompt_ = false;                     // Of this step:
  double draft_ms_ = 0;
};

Result<> EngineImpl::Check(const std::vector<int32_t>& prompt,
                           const GenerateOptions& options) const {
  TRY(Validate(options.sampler, n_vocab_));
  if (options.max_tokens < -1) {
    return Error(Code::kInvalidArgument,
                 "max_tokens is {}; it must be at least 0, or -1 for no limit", options.max_tokens);
  }
  for (const std::string& stop : options.stop) {
    if (stop.empty()) return Error(Code::kInvalidArgument, "stop has an empty text");
    if (!IsUtf8(stop)) return Error(Code::kInvalidArgument, "stop has a text that is not UTF-8");
  }
  if (prompt.empty()) return Error(Code::kInvalidArgument, "the prompt has no tokens");
  for (int32_t id : prompt) {
    if (id < 0 || id >= n_vocab_) {
      return Error(Code::kInvalidArgument, "the prompt has token {}; the vocabulary is 0 to {}", id,
                   n_vocab_ - 1);
    }
  }
  if (std::ssize(prompt) >= options_.context) {
    return Error(Code::kOutOfRange,
                 "the prompt has {} tokens and the context holds {}, the answer included; shorten "
                 "it or raise the context",
                 prompt.size(), options_.context);
  }
  return {};
}

void EngineImpl::End(Request& request, FinishReason reason, const Status& status) {
  if (request.slot()) {
    sequences_.Release(request.slot(), request.history(), request.options().cache_scope);
  }
  {
    const std::lock_guard lock(mutex_);
    const auto take = [&](auto& requests) {
      const auto found = std::find_if(requests.begin(), requests.end(),
                                      [&](const auto& r) { return r.get() == &request; });
      if (found == requests.end()) return;
      finished_.push_back(std::move(*found));
      requests.erase(found);
    };
    take(active_);
    take(waiting_);
  }
  request.Finish(reason, status);
}

// Requests live until the step's end, since the step's lists point at them.
bool EngineImpl::DropFinished() {
  const bool any = !finished_.empty();
  finished_.clear();
  return any;
}

void EngineImpl::FinishCancelled() {
  std::vector<Request*> cancelled;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& request : active_) {
      if (request->cancelled) cancelled.push_back(request.get());
    }
    for (const auto& request : waiting_) {
      if (request->cancelled) cancelled.push_back(request.get());
    }
  }
  for (Request* request : cancelled) End(*request, FinishReason::kCancelled, {});
}

// Starts waiting requests, in order, while sequences are free.
bool EngineImpl::Admit() {
  bool any = false;
  while (std::ssize(active_) < options_.max_sequences) {
    Request* request;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) return any;
      request = waiting_.front().get();
    }
    any = true;
    if (request->options().max_tokens == 0) {
      End(*request, FinishReason::kLength, {});
      continue;
    }
    auto slot = sequences_.Acquire(request->history(), request->options().cache_scope);
    if (!slot && !active_.empty()) return true;  // Memory comes back when one of them ends.
    if (!slot) {
      End(*request, FinishReason::kError, slot.status());
      continue;
    }
    if (!*slot) return any;
    (*slot)->sequence->Announce(std::ssize(request->history()));
    request->Start(*slot, n_vocab_,
                   speculator_ ? speculator_->Start(request->MostTokens()) : nullptr);
    ReserveLogits(speculator_ ? kMaxDraftedRows : 1);  // Untouched, most of them cost nothing.
    const std::lock_guard lock(mutex_);
    active_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return any;
}

int64_t EngineImpl::PromptRowsPerStep() const {
  const bool answering = std::any_of(active_.begin(), active_.end(),
                                     [](const auto& request) { return request->IsDecoding(); });
  if (!answering) return options_.prefill_chunk;
  const double n_rows =
      ms_per_prompt_row_ > 0 ? std::min(kPromptMsBesideAnswers / ms_per_prompt_row_, 1e6) : 0;
  return std::min(options_.prefill_chunk, std::max(kLeastPromptRows, static_cast<int64_t>(n_rows)));
}

// The rows of every answer, then as much of the prompts, oldest first, as a chunk holds.
void EngineImpl::PlanStep() {
  n_rows_.clear();
  const std::lock_guard lock(mutex_);
  int64_t n_left = PromptRowsPerStep();
  for (const auto& request : active_) {
    // True where the sequence outgrew its rotary factors: its state is gone, all of it is pending.
    request->slot()->sequence->Announce(std::ssize(request->history()));
    const auto n_pending = std::ssize(request->Pending());
    const int64_t n_rows = request->IsDecoding() ? n_pending : std::min<int64_t>(n_pending, n_left);
    if (n_rows == 0) continue;
    if (!request->IsDecoding()) n_left -= n_rows;
    step_.push_back(request.get());
    n_rows_.push_back(n_rows);
  }
  cancel_step_ = AllCancelled();
}

// Drafts go into steps that only decode: beside a prompt's rows they would wait for them.
void EngineImpl::Draft() {
  turns_.clear();
  draft_ms_ = 0;
  if (!speculator_) return;
  reads_prompt_ = !std::all_of(step_.begin(), step_.end(),
                               [](const Request* request) { return request->IsDecoding(); });
  if (reads_prompt_) return;
  const int64_t row_bytes = n_vocab_ * static_cast<int64_t>(sizeof(float));
  const auto most =
      static_cast<int>(std::clamp<int64_t>(kMostDraftedLogitBytes / row_bytes - 1, 1, kMaxDraft));
  for (const Request* request : step_) {
    turns_.push_back({request->speculation(), request->history(),
                      static_cast<int>(request->Pending().size()),
                      std::min(request->MostDraft(), most)});
  }
  const auto start = Clock::now();
  speculator_->Plan(turns_, &cancel_step_);
  for (size_t i = 0; i < step_.size(); ++i) {
    step_[i]->SetDraft(turns_[i].n_draft);
    n_rows_[i] += turns_[i].n_draft;
  }
  draft_ms_ = MillisecondsSince(start);
}

void EngineImpl::Advance(std::span<Request* const> requests) {
  const size_t first =
      static_cast<size_t>(std::find(step_.begin(), step_.end(), requests.front()) - step_.begin());
  parts_.clear();
  int64_t n_logits = 0, n_step_rows = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto ids = requests[i]->StepIds(static_cast<size_t>(n_rows_[first + i]));
    const auto n_unseen = std::ssize(requests[i]->Pending()) + requests[i]->n_draft();
    const int64_t wants_logits = std::ssize(ids) == n_unseen ? 1 + requests[i]->n_draft() : 0;
    parts_.push_back({requests[i]->slot()->sequence.get(), ids, wants_logits});
    n_logits += wants_logits;
    n_step_rows += n_rows_[first + i];
  }
  ReserveLogits(n_logits);

  const auto start = Clock::now();
  const auto forward = model_->Forward(pool_, parts_, logits_.get(), &cancel_step_);
  const double ms = MillisecondsSince(start);
  if (!forward) return Recover(requests, first, forward.error());
  float* row = logits_.get();
  chosen_.clear();
  const bool learns = speculator_ && requests.size() == step_.size();
  if (turns_.empty() && n_step_rows >= std::ssize(requests) + kLeastPromptRows - 1) {
    ms_per_prompt_row_ = ms / static_cast<double>(n_step_rows);
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    Request& request = *requests[i];
    request.AddTime(request.n_generated() > 0, draft_ms_ + ms);
    if (parts_[i].n_logits == 0) continue;
    const auto outcome = [&] {
      const model::SamplingTime time(options_.profile);
      return request.Accept(row, n_vocab_);
    }();
    row += parts_[i].n_logits * n_vocab_;
    chosen_.push_back(request.chosen());
    if (outcome) End(request, outcome->reason, outcome->status);
  }
  if (learns) Learn(ms);
}

void EngineImpl::Learn(double ms) {
  if (!turns_.empty()) return speculator_->ObserveStep(turns_, draft_ms_, ms, chosen_);
  if (!reads_prompt_) return;
  int64_t n_rows = 0;
  for (const int64_t n : n_rows_) n_rows += n;
  speculator_->ObservePrefill(n_rows, ms);
}

void EngineImpl::Recover(std::span<Request* const> requests, size_t first, const Status& error) {
  const bool cancelled = error.code() == Code::kCancelled;
  if (!cancelled && !turns_.empty()) {
    // Without their drafts first: those must not cost anybody an answer.
    for (size_t i = 0; i < requests.size(); ++i) {
      n_rows_[first + i] -= requests[i]->n_draft();
      requests[i]->SetDraft(0);
    }
    turns_.clear();
    return Advance(requests);
  }
  // Which request is at fault shows when each runs alone; the others lose nothing.
  if (requests.size() > 1 && !cancelled) {
    for (size_t i = 0; i < requests.size(); ++i) Advance(requests.subspan(i, 1));
    return;
  }
  for (Request* request : requests) {
    if (request->cancelled) {
      End(*request, FinishReason::kCancelled, {});
    } else {
      End(*request, FinishReason::kError, error);
    }
  }
}

}  // namespace

const char* FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "error";
}

Result<std::unique_ptr<Engine>> Engine::Create(std::shared_ptr<const model::Model> model,
                                               std::shared_ptr<const text::Tokenizer> tokenizer,
                                               ThreadPool& pool, const EngineOptions& options) {
  EngineOptions checked = options;
  const int64_t most = model->spec().max_context;
  if (checked.context == 0) checked.context = std::min<int64_t>(4096, most);
  if (checked.context < 2 || checked.context > most) {
    return Error(Code::kInvalidArgument, "context is {}; this model's is 2 to {} tokens",
                 checked.context, most);
  }
  if (checked.prefill_chunk < 1) {
    return Error(Code::kInvalidArgument, "prefill_chunk is {}; it must be at least 1",
                 checked.prefill_chunk);
  }
  if (checked.max_sequences < 1) {
    return Error(Code::kInvalidArgument, "max_sequences is {}; it must be at least 1",
                 checked.max_sequences);
  }
  auto speculator = TRY(Speculator::Create(checked.speculation, *model, *tokenizer, pool));
  return std::make_unique<EngineImpl>(std::move(model), std::move(tokenizer), pool, checked,
                                      std::move(speculator));
}

}  // namespace lamina::engine
