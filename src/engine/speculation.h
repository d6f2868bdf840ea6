// Speculation: whether to draft, how, and how much.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/acceptance.h"
#include "engine/drafter.h"
#include "engine/speculation_options.h"
#include "engine/step_cost.h"
#include "text/tokenizer.h"

namespace lamina::engine {

/// What speculation knows of one request.
class Speculation {
 public:
  struct Source {
    const DrafterKind* kind;
    std::unique_ptr<Drafter> drafter;
    Acceptance acceptance;
    Draft draft;  ///< The latest; made anew before each step that drafts.
  };
  std::vector<Source> sources;
  Source* chosen = nullptr;  ///< Whose draft the step checks.
  double balance_ms = 0;     ///< Time that speculation has saved, negative: cost, up to a limit.
  double decode_ms = 0;
  double read_ms = 0;  ///< Of this step: a draft model's first reading of the prompt.
  bool has_read = false;
  int wait = 0;  ///< Steps until a draft model that did not pay is tried again.
  int next_wait = 1;
};

/// A request's part in a step that decodes.
struct Turn {
  Speculation* speculation;
  std::span<const int32_t> history;
  int n_pending;    ///< Rows without drafts.
  int most;         ///< Most tokens to draft.
  int n_draft = 0;  ///< Tokens of speculation->chosen->draft to check in this step.
};

/// Chooses the drafts of steps so that they pay: by measured times of steps, measured rates at
/// which drafts are right, and an account per request that never lets wrong drafts cost more than a
/// small part of its time. Belongs to the thread that steps.
class Speculator {
 public:
  /// Null where the mode is "off". Errors: kInvalidArgument names a wrong mode, a draft model that
  /// is missing, or not used, or has another vocabulary.
  static Result<std::unique_ptr<Speculator>> Create(const SpeculationOptions& options,
                                                    const model::Model& model,
                                                    const text::Tokenizer& tokenizer,
                                                    ThreadPool& pool);

  /// For a request whose history reaches at most `most_tokens`. Allocates all that it will need.
  std::unique_ptr<Speculation> Start(int64_t most_tokens) const;

  /// Fills in n_draft of each turn of a step that only decodes.
  void Plan(std::span<Turn> turns, const std::atomic<bool>* cancel);
  /// The step of these turns took ms, `plan_ms` before it for Plan. `tokens`: per turn, those that
  /// were chosen, in order.
  void ObserveStep(std::span<Turn> turns, double plan_ms, double ms,
                   std::span<const std::span<const int32_t>> tokens);
  void ObservePrefill(int64_t n_rows, double ms) { cost_.ObservePrefill(n_rows, ms); }

  /// Whether sequences have state that cannot be cut: after a wrong draft, its right rows are
  /// computed again.
  bool replays() const { return replays_; }

 private:
  struct Kind {
    const DrafterKind* kind;
    std::unique_ptr<Acceptance> acceptance;  ///< Of all requests.
  };
  Speculator() = default;
  bool MayDraftByModel(const Turn& turn, DraftLimits* limits);
  void DraftByModel(Turn& turn, DraftLimits limits);
  int ChooseLength(std::span<const Turn> turns) const;
  void PlanFixed(std::span<Turn> turns, const std::atomic<bool>* cancel);
  double AllowanceMs(const Speculation& speculation) const;

  int fixed_length_ = 0;
  bool replays_ = false;
  std::vector<Kind> kinds_;
  DrafterContext context_{};
  StepCost cost_;
  double draft_token_ms_ = 0;  ///< Of a draft model; 0 = not known.
  double draft_rate_ = 0.6;    ///< How often its tokens are right.
};

}  // namespace lamina::engine
