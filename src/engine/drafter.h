// Guesses at the next tokens of a text, which the model then checks in one step.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "base/thread_pool.h"
#include "model/model.h"

namespace lamina::engine {

/// Most rows of a step with drafted tokens: up to here the bits of a row do not depend on the
/// others, so a drafted row gives the logits that it would have given alone.
inline constexpr int kMaxDraftedRows = 16;
inline constexpr int kMaxDraft = kMaxDraftedRows - 1;
/// Most classes of a drafter.
inline constexpr int kMaxDraftClasses = 32;

/// A guess. The class of a token says how well founded it is; how often a class is right is
/// measured.
struct Draft {
  int n = 0;
  std::array<int32_t, kMaxDraft> tokens;
  std::array<uint8_t, kMaxDraft> classes;

  void Add(int32_t token, int token_class) {
    tokens[static_cast<size_t>(n)] = token;
    classes[static_cast<size_t>(n)] = static_cast<uint8_t>(token_class);
    ++n;
  }
};

class Acceptance;

struct DraftLimits {
  int most = kMaxDraft;  ///< Tokens.
  /// A costly drafter stops where the chance that all its tokens are right falls below this.
  double least_chance = 0;
  const Acceptance* acceptance = nullptr;
  const std::atomic<bool>* cancel = nullptr;
};

/// Drafts for one request. Belongs to the thread that steps.
class Drafter {
 public:
  virtual ~Drafter() = default;
  /// Takes in a history of which much is new, before Propose: apart, because it costs a draft model
  /// time that no draft is to blame for.
  virtual void Read(std::span<const int32_t> /*history*/, const std::atomic<bool>* /*cancel*/) {}
  /// Guesses what follows `history`, the prompt and the answer so far, which only grows from call
  /// to call. Finding nothing, for whatever reason, is an empty draft. Allocates nothing.
  virtual void Propose(std::span<const int32_t> history, const DraftLimits& limits,
                       Draft* draft) = 0;
};

struct DrafterContext {
  int64_t most_tokens;                              ///< Of the history, ever.
  int64_t n_vocab;                                  ///< Of the model that checks.
  std::shared_ptr<const model::Model> draft_model;  ///< Null for drafters that need none.
  ThreadPool* pool;
};

/// A row of the table of drafters.
struct DrafterKind {
  const char* name;
  bool needs_model;
  std::span<const float>
      priors;  ///< By class: how often its tokens are taken to be right at first.
  Result<std::unique_ptr<Drafter>> (*make)(const DrafterContext& context);
};

/// All of them: "ngram", "suffix", "draft".
std::span<const DrafterKind> DrafterKinds();

}  // namespace lamina::engine
