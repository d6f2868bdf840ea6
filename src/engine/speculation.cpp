#include "engine/speculation.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/drafters/draft_model.h"

namespace lamina::engine {
namespace {

using Clock = std::chrono::steady_clock;

// Drafts must promise at least this much more speed: estimates err.
constexpr double kLeastGain = 1.04;
// What a request may lose to wrong drafts: so many tokens' time at once, and so much of its time.
constexpr double kTrialTokens = 0.75;
constexpr double kLossShare = 0.015;
// Savings that an account keeps, in tokens' time: a request that changed its nature stops soon.
constexpr double kMostSavedTokens = 24;
// A request beside others may be slowed down by this much for their drafts.
constexpr double kMostSlowing = 1.03;
constexpr int kMostWait = 256;
constexpr double kPace = 0.1;

double Milliseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}

int TotalPending(std::span<const Turn> turns) {
  int n = 0;
  for (const Turn& turn : turns) n += turn.n_pending;
  return n;
}

// Tokens of the chosen draft that may be checked.
int Available(const Turn& turn) {
  const auto* chosen = turn.speculation->chosen;
  return chosen == nullptr ? 0 : std::min(turn.most, chosen->draft.n);
}

struct Expected {
  double tokens;     // Chosen, at least one.
  double all_right;  // The chance that every drafted token is right.
};

Expected Expect(const Turn& turn, int n_draft) {
  Expected expected{1, 1};
  for (int i = 0; i < n_draft; ++i) {
    const auto* chosen = turn.speculation->chosen;
    expected.all_right *= chosen->acceptance.Rate(chosen->draft.classes[static_cast<size_t>(i)]);
    expected.tokens += expected.all_right;
  }
  return expected;
}

}  // namespace

Result<> CheckSpeculation(const std::string& mode, bool has_draft_model) {
  std::string names = "auto, off";
  bool is_known = mode == "off" || mode == "auto", uses_model = mode == "auto";
  for (const DrafterKind& kind : DrafterKinds()) {
    names += fmt::format(", {}", kind.name);
    is_known |= mode == kind.name;
    if (mode != kind.name || !kind.needs_model) continue;
    uses_model = true;
    if (!has_draft_model) {
      return Error(Code::kInvalidArgument,
                   "speculate is {}, but there is no draft model; name one with --draft-model",
                   mode);
    }
  }
  if (!is_known) {
    return Error(Code::kInvalidArgument, "speculate is \"{}\"; it must be one of {}", mode, names);
  }
  if (has_draft_model && !uses_model) {
    return Error(Code::kInvalidArgument,
                 "there is a draft model, but speculate is {}; it must be auto or draft", mode);
  }
  return {};
}

Result<std::unique_ptr<Speculator>> Speculator::Create(const SpeculationOptions& options,
                                                       const model::Model& model,
                                                       const text::Tokenizer& tokenizer,
                                                       ThreadPool& pool) {
  const bool has_model = options.draft_model != nullptr;
  TRY(CheckSpeculation(options.mode, has_model));
  if (options.mode == "off") return nullptr;
  if (has_model) TRY(CheckSameVocabulary(tokenizer, *options.draft_tokenizer));
  auto speculator = std::unique_ptr<Speculator>(new Speculator);
  for (const DrafterKind& kind : DrafterKinds()) {
    const bool in_auto = kind.needs_model ? has_model : std::string_view(kind.name) == "suffix";
    if (options.mode != kind.name && !(options.mode == "auto" && in_auto)) continue;
    speculator->kinds_.push_back({&kind, std::make_unique<Acceptance>(kind.priors)});
  }
  speculator->fixed_length_ = std::min(options.fixed_length, kMaxDraft);
  speculator->replays_ = std::any_of(
      model.spec().layers.begin(), model.spec().layers.end(),
      [](const model::LayerSpec& layer) { return layer.mixer != model::Mixer::kAttention; });
  speculator->context_ = {0, model.spec().n_vocab, options.draft_model, &pool};
  return speculator;
}

std::unique_ptr<Speculation> Speculator::Start(int64_t most_tokens) const {
  auto speculation = std::make_unique<Speculation>();
  DrafterContext context = context_;
  context.most_tokens = most_tokens;
  for (const Kind& kind : kinds_) {
    auto drafter = kind.kind->make(context);
    if (!drafter) continue;  // No memory for a draft model's sequence: the request runs without.
    speculation->sources.push_back(
        {kind.kind, std::move(*drafter), Acceptance(kind.acceptance.get()), {}});
  }
  return speculation;
}

// What a request may still lose.
double Speculator::AllowanceMs(const Speculation& speculation) const {
  return speculation.balance_ms + kTrialTokens * cost_.StepMs(1) +
         kLossShare * speculation.decode_ms;
}

void Speculator::Plan(std::span<Turn> turns, const std::atomic<bool>* cancel) {
  for (Turn& turn : turns) {
    turn.speculation->chosen = nullptr;
    for (Speculation::Source& source : turn.speculation->sources) {
      source.draft.n = 0;
      if (source.kind->needs_model) continue;
      // More than `most` is looked up, because a draft that is not checked is still observed.
      source.drafter->Propose(turn.history, {}, &source.draft);
      if (source.draft.n > 0) turn.speculation->chosen = &source;
    }
  }
  if (fixed_length_ > 0) return PlanFixed(turns, cancel);
  if (!cost_.known()) return;
  DraftLimits limits;
  limits.cancel = cancel;
  if (turns.size() == 1 && MayDraftByModel(turns[0], &limits)) DraftByModel(turns[0], limits);
  const int length = ChooseLength(turns);
  for (Turn& turn : turns) turn.n_draft = std::min(length, Available(turn));
}

void Speculator::PlanFixed(std::span<Turn> turns, const std::atomic<bool>* cancel) {
  int n_rows = TotalPending(turns);
  for (Turn& turn : turns) {
    DraftLimits limits;
    limits.most = std::min(fixed_length_, turn.most);
    limits.cancel = cancel;
    if (turn.speculation->chosen == nullptr && limits.most > 0) DraftByModel(turn, limits);
    turn.n_draft =
        std::clamp(kMaxDraftedRows - n_rows, 0, std::min(fixed_length_, Available(turn)));
    n_rows += turn.n_draft;
  }
}

// Drafts all share one length: the one that promises the most tokens per time, if that is worth it,
// slows nobody down, and could be borne by every request if all of it were wrong.
int Speculator::ChooseLength(std::span<const Turn> turns) const {
  const int n_pending = TotalPending(turns);
  if (n_pending >= kMaxDraftedRows) return 0;
  const double plain_ms = cost_.StepMs(n_pending);
  double best_rate = kLeastGain * static_cast<double>(turns.size()) / plain_ms;
  int best = 0;
  for (int length = 1; length <= kMaxDraft; ++length) {
    int n_rows = n_pending;
    bool any = false;
    for (const Turn& turn : turns) {
      n_rows += std::min(length, Available(turn));
      any |= Available(turn) >= length;
    }
    if (!any || n_rows > kMaxDraftedRows) break;
    double ms = cost_.StepMs(n_rows), tokens = 0;
    const double loss_ms = ms - plain_ms;
    if (replays_) {
      for (const Turn& turn : turns) {
        const Expected expected = Expect(turn, std::min(length, Available(turn)));
        ms += (1 - expected.all_right) * (turn.n_pending + expected.tokens - 1) * cost_.RowMs();
      }
    }
    bool good = true;
    for (const Turn& turn : turns) {
      const Expected expected = Expect(turn, std::min(length, Available(turn)));
      tokens += expected.tokens;
      good &= expected.tokens * plain_ms * kMostSlowing >= ms;
      good &= loss_ms <= AllowanceMs(*turn.speculation);
    }
    if (!good || tokens / ms <= best_rate) continue;
    best = length;
    best_rate = tokens / ms;
  }
  return best;
}

// Whether a draft of the model promises more than what there is, and how far it may go; or whether
// it is time to try again.
bool Speculator::MayDraftByModel(const Turn& turn, DraftLimits* limits) {
  Speculation& speculation = *turn.speculation;
  if (speculation.sources.empty() || !speculation.sources.back().kind->needs_model) return false;
  const double plain_ms = cost_.StepMs(std::min(turn.n_pending, kMaxDraftedRows));
  const int looked_up = ChooseLength({&turn, 1});
  double best_rate = kLeastGain / plain_ms;
  if (looked_up > 0) {
    best_rate = Expect(turn, looked_up).tokens / cost_.StepMs(turn.n_pending + looked_up);
  }
  const double allowance_ms = AllowanceMs(speculation);
  double chance = 1, tokens = 1;
  int best = 0, affordable = 0;
  for (int length = 1; length <= std::min(turn.most, kMaxDraftedRows - turn.n_pending); ++length) {
    chance *= draft_rate_;
    tokens += chance;
    const double ms = cost_.StepMs(turn.n_pending + length) + length * draft_token_ms_;
    if (ms - plain_ms > allowance_ms) break;
    affordable = length;
    if (tokens / ms <= best_rate) continue;
    best_rate = tokens / ms;
    best = length;
  }
  if (best == 0) {
    if (speculation.wait-- > 0 || affordable == 0 || looked_up > 0) return false;
    speculation.next_wait = std::min(2 * speculation.next_wait, kMostWait);
    speculation.wait = speculation.next_wait;
    best = 1;
  } else {
    speculation.next_wait = 1;
  }
  limits->most = best;
  limits->least_chance = std::min(0.9, (draft_token_ms_ + cost_.RowMs()) / plain_ms);
  return true;
}

void Speculator::DraftByModel(Turn& turn, DraftLimits limits) {
  Speculation& speculation = *turn.speculation;
  if (speculation.sources.empty() || !speculation.sources.back().kind->needs_model) return;
  Speculation::Source& source = speculation.sources.back();
  limits.acceptance = &source.acceptance;
  auto start = Clock::now();
  source.drafter->Read(turn.history, limits.cancel);
  if (!speculation.has_read) speculation.read_ms = Milliseconds(start);
  speculation.has_read = true;
  start = Clock::now();
  source.drafter->Propose(turn.history, limits, &source.draft);
  const double token_ms = Milliseconds(start) / std::max(1, source.draft.n);
  draft_token_ms_ += (draft_token_ms_ > 0 ? kPace : 1) * (token_ms - draft_token_ms_);
  if (source.draft.n > 0) speculation.chosen = &source;
}

void Speculator::ObserveStep(std::span<Turn> turns, double plan_ms, double ms,
                             std::span<const std::span<const int32_t>> tokens) {
  const int n_pending = TotalPending(turns);
  int n_draft = 0;
  for (const Turn& turn : turns) n_draft += turn.n_draft;
  const auto n_turns = static_cast<int>(turns.size());
  // Rows that a wrong draft made necessary again count as its cost.
  const bool is_plain = n_draft == 0 && n_pending == n_turns;
  const double plain_ms = is_plain || n_turns > kMaxDraftedRows ? ms : cost_.StepMs(n_turns);
  for (size_t t = 0; t < turns.size(); ++t) {
    Speculation& speculation = *turns[t].speculation;
    speculation.decode_ms += plan_ms + ms;
    const double saved_ms =
        plain_ms * static_cast<double>(std::ssize(tokens[t])) - ms - plan_ms + speculation.read_ms;
    speculation.balance_ms =
        std::min(speculation.balance_ms + saved_ms, kMostSavedTokens * cost_.StepMs(1));
    speculation.read_ms = 0;
    for (Speculation::Source& source : speculation.sources) {
      const Draft& draft = source.draft;
      const int n = std::min(draft.n, static_cast<int>(tokens[t].size()));
      bool right = true;
      for (int i = 0; i < n && right; ++i) {
        const auto at = static_cast<size_t>(i);
        right = draft.tokens[at] == tokens[t][at];
        source.acceptance.Observe(draft.classes[at], right);
        for (Kind& kind : kinds_) {
          if (kind.kind == source.kind) kind.acceptance->Observe(draft.classes[at], right);
        }
        if (source.kind->needs_model) draft_rate_ += kPace * ((right ? 1.0 : 0.0) - draft_rate_);
      }
      source.draft.n = 0;
    }
  }
  cost_.ObserveStep(n_pending + n_draft, ms);
}

}  // namespace lamina::engine
