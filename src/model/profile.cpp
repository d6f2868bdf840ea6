#include "model/profile.h"

namespace lamina::model {

std::string_view OperationName(Operation operation) {
  static constexpr std::array<std::string_view, kNumOperations> kNames = {
      "embedding",       "norm+quantize", "qkv",
      "rotate+store",    "attention",     "wo",
      "gate+up",         "down",          "router",
      "expert gate+up",  "expert down",   "recurrent in",
      "convolution",     "delta rule",    "recurrent out",
      "per-layer input", "head",          "barrier wait"};
  return kNames[static_cast<size_t>(operation)];
}

Profile::Lane* Profile::BeginStep(int n_threads) {
  if (!started_) return nullptr;
  if (lanes_.empty()) lanes_.resize(static_cast<size_t>(n_threads));
  step_began_ = Now();
  return lanes_.data();
}

void Profile::EndStep(int64_t n_rows) {
  if (!started_) return;
  steps_ns_ += Now() - step_began_;
  n_rows_ += n_rows;
}

}  // namespace lamina::model
