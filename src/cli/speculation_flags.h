// Flags about speculation that verbs which answer have.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/loaded_model.h"
#include "engine/speculation_options.h"

namespace lamina::cli {

class Options;

/// --speculate and --draft-model. Must outlive the engine: it keeps the draft model's file.
class SpeculationFlags {
 public:
  explicit SpeculationFlags(std::string mode) : mode_(std::move(mode)) {}
  void Define(Options& options);
  const std::string& mode() const { return mode_; }
  /// Errors: kInvalidArgument for flags that contradict each other; nothing is loaded.
  Result<> Check() const { return engine::CheckSpeculation(mode_, !draft_model_.empty()); }
  /// Loads the draft model, if there is one, for the pool and the context of `loaded`.
  Result<engine::SpeculationOptions> Load(const LoadedModel& loaded, const ComputeOptions& compute);

 private:
  std::string mode_, draft_model_;
  std::unique_ptr<const format::ModelSource> source_;
};

}  // namespace lamina::cli
