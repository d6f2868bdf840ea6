// How fast a loaded model is: what bench and doctor share.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/loaded_model.h"

namespace lamina::cli {

struct DecodeSpeed {
  std::vector<double> tokens_per_s;  ///< Of all sequences together, per repetition.
  std::vector<double> gb_per_s;      ///< Bytes of weights, keys and values read per second.
};

/// Measures through the engine, as an answer is made, with random tokens.
class SpeedMeter {
 public:
  /// `context`: tokens per sequence. The model must outlive this. `profile`: the model's, or null;
  /// it is filled with what is measured, anew by Prefill and by Decode.
  static Result<SpeedMeter> Create(const LoadedModel& loaded, int64_t context, int n_sequences,
                                   model::Profile* profile = nullptr);

  /// Tokens per second of prompts of n tokens, first token of the answer included.
  Result<std::vector<double>> Prefill(int64_t n_tokens, int n_repetitions);

  /// Tokens per second of n tokens after `depth` tokens, in n_sequences at once.
  Result<DecodeSpeed> Decode(int64_t n_tokens, int64_t depth, int n_sequences, int n_repetitions);

 private:
  explicit SpeedMeter(const LoadedModel& loaded) : loaded_(&loaded) {}
  std::vector<int32_t> RandomIds(int64_t n);
  /// Runs all prompts at once, each in a cache scope of its own.
  Result<std::vector<engine::Timings>> Run(const std::vector<std::vector<int32_t>>& prompts,
                                           int64_t n_tokens);
  Result<std::vector<engine::Timings>> RunProfiled(const std::vector<std::vector<int32_t>>& prompts,
                                                   int64_t n_tokens);

  const LoadedModel* loaded_;
  model::Profile* profile_ = nullptr;
  std::unique_ptr<engine::Engine> engine_;
  uint64_t n_prompts_ = 0;
};

}  // namespace lamina::cli
