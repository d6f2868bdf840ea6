#include "cli/speculation_flags.h"

#include <algorithm>

#include "cli/options.h"
#include "cli/terminal.h"

namespace lamina::cli {

void SpeculationFlags::Define(Options& options) {
  options.Text("--speculate", &mode_,
               "Draft tokens and check several at once, where that is faster; the answer stays the "
               "same: auto, off, ngram, suffix, draft; default auto (bench: off)",
               "MODE");
  options.Text("--draft-model", &draft_model_,
               "A smaller model of the same vocabulary, which drafts", "MODEL");
}

Result<engine::SpeculationOptions> SpeculationFlags::Load(const LoadedModel& loaded,
                                                          const ComputeOptions& compute) {
  engine::SpeculationOptions options;
  options.mode = mode_;
  if (draft_model_.empty()) return options;
  StatusLine status;
  status.Show(fmt::format("loading {}", draft_model_));
  source_ = TRY(OpenModel(draft_model_));
  options.draft_tokenizer = TRY(text::Tokenizer::Create(*source_));
  ComputeOptions drafting = compute;
  drafting.profile = nullptr;
  options.draft_model = TRY(LoadWeights(*source_, *loaded.pool, drafting, status));
  return options;
}

}  // namespace lamina::cli
