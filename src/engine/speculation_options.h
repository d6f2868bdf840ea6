// What users choose about speculation.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace lamina::engine {

struct SpeculationOptions {
  /// "off"; a drafter's name; "auto" = the suffix drafter, and the draft model where there is one.
  std::string mode = "off";
  std::shared_ptr<const model::Model> draft_model;
  std::shared_ptr<const text::Tokenizer> draft_tokenizer;
  /// Drafts of this many tokens whatever they cost, for tests and measurements; 0 = as it pays.
  int fixed_length = 0;
};

/// Whether the mode exists and fits a draft model's being there. kInvalidArgument.
Result<> CheckSpeculation(const std::string& mode, bool has_draft_model);

}  // namespace lamina::engine
