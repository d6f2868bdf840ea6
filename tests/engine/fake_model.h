// A model whose next token is a known function of all the tokens before it, and a tokenizer of
// bytes: what an engine does wrong shows as different text.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace lamina::engine {

struct FakeModelOptions {
  int64_t max_context = 1000;
  int64_t original_context = 0;  ///< As long-context rotary factors: state differs beyond it.
  bool can_truncate = true;      ///< False: as recurrent state.
  int64_t most_sequences = 1000;
  int32_t poison = -1;  ///< A step with this token among its rows fails.
  int32_t nan = -1;     ///< The token after which logits are NaN.
  int64_t memory = 0;   ///< The next token depends on the last so many only, so texts run in
                        ///< circles; 0 = on all.
};

/// Bytes 0..255 are tokens; 256 ends an answer, 257 begins a text.
inline constexpr int32_t kFakeEnd = 256;
inline constexpr int32_t kFakeBegin = 257;
inline constexpr int32_t kFakeVocab = 260;

class FakeModel : public model::Model {
 public:
  explicit FakeModel(const FakeModelOptions& options);

  const model::ModelSpec& spec() const override { return spec_; }
  const char* isa() const override { return "none"; }
  const char* kv_type() const override { return "f32"; }
  uint64_t weight_bytes() const override { return 0; }
  uint64_t bytes_per_token(int64_t) const override { return 0; }
  Result<std::unique_ptr<model::Sequence>> NewSequence() const override;
  Result<> Forward(ThreadPool& pool, std::span<const model::StepPart> parts, float* logits,
                   const std::atomic<bool>* cancel) const override;

  /// The most probable token after `ids`: letters, and kFakeEnd now and then.
  static int32_t Next(std::span<const int32_t> ids, bool long_factors);

  /// What happened, for the tests.
  struct Step {
    std::vector<int64_t> n_rows;  ///< Per part.
  };
  mutable std::vector<Step> steps;
  mutable int64_t n_sequences = 0;
  /// Called inside Forward, before anything else.
  mutable std::function<void()> on_forward;

 private:
  FakeModelOptions options_;
  model::ModelSpec spec_;
};

class FakeTokenizer : public text::Tokenizer {
 public:
  FakeTokenizer();
  std::vector<int32_t> Encode(std::string_view text,
                              const text::EncodeOptions& options) const override;
  std::vector<int32_t> EncodeSpans(std::string_view text, std::span<const text::TextSpan>,
                                   bool) const override {
    return Encode(text, {});
  }
  std::string TokenBytes(int32_t id, bool special) const override;
  int32_t Find(std::string_view) const override { return -1; }
};

/// What a request for `prompt` must give: greedy tokens until the end or `max_tokens`.
std::vector<int32_t> ExpectedAnswer(std::vector<int32_t> prompt, int64_t max_tokens,
                                    int64_t original_context = 0);

/// Collects what a request reports.
struct Collector : TokenSink {
  void OnText(std::string_view piece, int32_t token) override {
    n_calls_after_finish += finished;
    text += piece;
    if (token >= 0) tokens.push_back(token);
  }
  void OnFinish(FinishReason why, const Status& error, const Timings& measured) override {
    n_calls_after_finish += finished;
    finished = true;
    reason = why;
    status = error;
    timings = measured;
  }
  std::string text;
  std::vector<int32_t> tokens;
  bool finished = false;
  int n_calls_after_finish = 0;
  FinishReason reason = FinishReason::kError;
  Status status;
  Timings timings;
};

}  // namespace lamina::engine
