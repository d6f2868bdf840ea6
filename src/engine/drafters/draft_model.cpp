#include "engine/drafters/draft_model.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <vector>

#include "engine/acceptance.h"
#include "format/quote.h"

namespace lamina::engine {
namespace {

// Classes begin at these distances between the best logit and the next.
constexpr float kGaps[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
constexpr float kPriors[] = {0.35f, 0.45f, 0.55f, 0.6f, 0.7f, 0.8f, 0.87f, 0.93f};
static_assert(std::size(kGaps) == std::size(kPriors));

struct Top {
  int32_t token;
  int token_class;
};

Top BestOf(std::span<const float> logits, int64_t n_vocab) {
  float best = -std::numeric_limits<float>::infinity(), second = best;
  int32_t token = 0;
  for (size_t i = 0; i < static_cast<size_t>(n_vocab); ++i) {
    if (!(logits[i] > second)) continue;
    second = std::min(logits[i], best);
    if (logits[i] <= best) continue;
    second = best;
    best = logits[i];
    token = static_cast<int32_t>(i);
  }
  const float gap = best - second;
  int token_class = 0;
  for (size_t i = 1; i < std::size(kGaps); ++i) token_class += gap >= kGaps[i];
  return {token, token_class};
}

class DraftModelDrafter : public Drafter {
 public:
  DraftModelDrafter(const DrafterContext& context, std::unique_ptr<model::Sequence> sequence)
      : model_(context.draft_model),
        pool_(*context.pool),
        sequence_(std::move(sequence)),
        n_vocab_(std::min<int64_t>(context.n_vocab, model_->spec().n_vocab)),
        logits_(static_cast<size_t>(model_->spec().n_vocab)) {
    fed_.reserve(static_cast<size_t>(context.most_tokens));
    sequence_->Checkpoint();  // So that later ones allocate nothing.
  }

  void Read(std::span<const int32_t> history, const std::atomic<bool>* cancel) override {
    // The sequence holds an earlier history and drafts that may have been wrong.
    const auto differs = std::mismatch(fed_.begin(), fed_.end(), history.begin(), history.end());
    Keep(std::min<int64_t>(differs.first - fed_.begin(), std::ssize(history) - 1));
    if (sequence_->Announce(std::ssize(history))) fed_.clear();
    const auto pending = history.subspan(fed_.size());
    if (std::ssize(pending) <= kMaxDraftedRows || std::ssize(pending) > sequence_->Room()) return;
    Feed(pending.first(pending.size() - 1), cancel);
  }

  void Propose(std::span<const int32_t> history, const DraftLimits& limits, Draft* draft) override {
    draft->n = 0;
    Read(history, limits.cancel);
    const auto pending = history.subspan(fed_.size());
    const int64_t room = sequence_->Room() - std::ssize(pending);
    const int most = static_cast<int>(std::min<int64_t>(limits.most, room + 1));
    if (most < 1 || !Feed(pending, limits.cancel)) return;
    sequence_->Checkpoint();
    double chance = 1;
    while (true) {
      const Top top = BestOf(logits_, n_vocab_);
      chance *= limits.acceptance->Rate(top.token_class);
      if (chance < limits.least_chance) return;
      draft->Add(top.token, top.token_class);
      if (draft->n == most || !Feed({&top.token, 1}, limits.cancel)) return;
    }
  }

 private:
  void Keep(int64_t n_tokens) { fed_.resize(static_cast<size_t>(sequence_->Rewind(n_tokens))); }

  bool Feed(std::span<const int32_t> ids, const std::atomic<bool>* cancel) {
    const model::StepPart part{sequence_.get(), ids, 1};
    if (!model_->Forward(pool_, {&part, 1}, logits_.data(), cancel)) {
      Keep(sequence_->n_tokens());
      return false;
    }
    fed_.insert(fed_.end(), ids.begin(), ids.end());
    return true;
  }

  const std::shared_ptr<const model::Model> model_;
  ThreadPool& pool_;
  const std::unique_ptr<model::Sequence> sequence_;
  const int64_t n_vocab_;  ///< Ids that both models know.
  std::vector<float> logits_;
  std::vector<int32_t> fed_;  ///< What the sequence holds.
};

}  // namespace

std::span<const float> DraftModelPriors() { return kPriors; }

Result<std::unique_ptr<Drafter>> MakeDraftModelDrafter(const DrafterContext& context) {
  auto sequence = TRY(context.draft_model->NewSequence());
  return std::make_unique<DraftModelDrafter>(context, std::move(sequence));
}

Result<> CheckSameVocabulary(const text::Tokenizer& model, const text::Tokenizer& draft) {
  const auto n = static_cast<int32_t>(std::min(model.n_vocab(), draft.n_vocab()));
  for (int32_t id = 0; id < n; ++id) {
    const std::string ours = model.TokenBytes(id, true), theirs = draft.TokenBytes(id, true);
    if (ours == theirs) continue;
    return Error(
        Code::kInvalidArgument,
        "the draft model has another vocabulary: token {} is {} there and {} in the model; "
        "take a smaller model of the same family",
        id, format::Quote(theirs), format::Quote(ours));
  }
  return {};
}

}  // namespace lamina::engine
