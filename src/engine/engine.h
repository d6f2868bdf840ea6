// The engine: requests in, tokens out, advanced by steps that rows of many sequences share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "engine/sampler.h"
#include "engine/speculation_options.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace lamina::engine {

struct GenerateOptions {
  SamplerOptions sampler;
  int64_t max_tokens = -1;        ///< -1 = until the context is full.
  std::vector<std::string> stop;  ///< The answer ends before the first of these texts.
  bool ignore_eos = false;        ///< Go on after an end-of-generation token.
  /// The answer continues the prompt's text: a leading space that the tokenizer adds is kept.
  bool continues_text = false;
  /// The state of a finished request serves later ones of the same scope that begin with the same
  /// tokens; 0 = it is forgotten. One scope per chat or tenant: reuse shows in the timings.
  uint64_t cache_scope = 0;
};

enum class FinishReason { kStop, kLength, kCancelled, kError };
const char* FinishReasonName(FinishReason reason);  ///< "stop", "length", "cancelled", "error".

struct Timings {
  int64_t n_prompt_tokens = 0;     ///< Of them:
  int64_t n_cached_tokens = 0;     ///< taken from an earlier request's state.
  int64_t n_generated_tokens = 0;  ///< Chosen, an end-of-generation token included. Of them:
  int64_t n_accepted_tokens = 0;   ///< drafted ones.
  int64_t n_drafted_tokens = 0;    ///< Drafted and checked, right or wrong.
  double prefill_ms = 0;           ///< Wall time of the steps that gave the first token,
  double decode_ms = 0;            ///< and of those after it, drafting included.
};

/// What a request reports. Calls come from the thread that drives Step(), in order; OnFinish is the
/// last. A callback must not call the engine.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  /// Called for each token of the answer with the text that became final, possibly empty: whole
  /// UTF-8 sequences, nothing that may still turn into a stop text. What was held back until the
  /// end comes with token -1.
  virtual void OnText(std::string_view text, int32_t token) = 0;
  virtual void OnFinish(FinishReason reason, const Status& status, const Timings& timings) = 0;
};

struct EngineOptions {
  int64_t prefill_chunk = 512;        ///< Most rows of prompt in one step.
  int max_sequences = 16;             ///< Requests that run at once; more wait in order.
  int64_t context = 0;                ///< Most tokens per sequence; 0 = min(4096, the model's).
  model::Profile* profile = nullptr;  ///< Told the time of sampling.
  /// Drafts are checked in the steps that decode; no text depends on them, only its speed.
  SpeculationOptions speculation;
};

using RequestId = uint64_t;

/// Continuous batching over one model: a step takes one row from every answering sequence and
/// chunks of the prompts that wait. Submit and Cancel are safe from any thread; Step belongs to
/// one. An engine that is destroyed cancels what is left.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> Create(std::shared_ptr<const model::Model> model,
                                                std::shared_ptr<const text::Tokenizer> tokenizer,
                                                ThreadPool& pool, const EngineOptions& options);
  virtual ~Engine() = default;

  /// Queues a request. Errors: kInvalidArgument names the option; kOutOfRange where the prompt does
  /// not fit the context. `sink` must live until OnFinish.
  virtual Result<RequestId> Submit(std::vector<int32_t> prompt, const GenerateOptions& options,
                                   TokenSink* sink) = 0;
  /// Ends a request: at the next layer where it has the step to itself, else after the step, so
  /// that no other request loses work. OnFinish(kCancelled) follows. Unknown ids are ignored.
  virtual void Cancel(RequestId id) = 0;
  /// One step of the model for whatever is queued. False where there was nothing to do.
  virtual bool Step() = 0;
  virtual const model::Model& model() const = 0;
  virtual const text::Tokenizer& tokenizer() const = 0;
  virtual int64_t context() const = 0;
};

}  // namespace lamina::engine
