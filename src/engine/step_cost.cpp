#include "engine/step_cost.h"

#include <algorithm>

namespace lamina::engine {
namespace {

constexpr double kPace = 0.2;      // Part of an estimate that a new time replaces.
constexpr double kMostJump = 2;    // A time further off is a disturbance: it counts as that far.
constexpr double kLineWeight = 1;  // The line's weight beside times that were measured.
constexpr double kMostWeight = 8;
// Per step: old times make room for the line, and the line returns to where it began, so that a
// disturbed measurement is not believed for ever.
constexpr double kFade = 0.99;
// A prompt's rows may have paid for reading the model from disk; more than this part of a step per
// row is not believed before it is measured.
constexpr double kMostPriorSlope = 0.5;
constexpr double kPriorSlope = 0.3;
constexpr int kLeastPrefillRows = 8;

double Blend(double old_ms, double ms) {
  return old_ms + kPace * (std::clamp(ms, old_ms / kMostJump, old_ms * kMostJump) - old_ms);
}

}  // namespace

double StepCost::PriorSlopeMs() const {
  if (prefill_row_ms_ == 0) return kPriorSlope * single_ms_;
  return std::min(prefill_row_ms_, kMostPriorSlope * single_ms_);
}

double StepCost::StepMs(int n_rows) const {
  if (n_rows == 1) return single_ms_;
  const Measured& measured = rows_[static_cast<size_t>(n_rows)];
  return (measured.ms * measured.weight + LineMs(n_rows) * kLineWeight) /
         (measured.weight + kLineWeight);
}

void StepCost::ObserveStep(int n_rows, double ms) {
  if (n_rows < 1 || n_rows > kMaxDraftedRows) return;
  for (Measured& measured : rows_) measured.weight *= kFade;
  if (n_rows == 1) {
    // The first steps may touch memory for the first time.
    single_ms_ = n_single_ < kLeastPlain ? ms : Blend(single_ms_, ms);
    ++n_single_;
  } else {
    Measured& measured = rows_[static_cast<size_t>(n_rows)];
    measured.ms = measured.weight < 0.5 ? ms : Blend(measured.ms, ms);
    measured.weight = std::min(measured.weight + 1, kMostWeight);
    // Requests that always run together never show what one row costs.
    if (n_single_ == 0) single_ms_ = ms / (1 + kPriorSlope * (n_rows - 1));
  }
  if (!known()) {
    ++n_plain_;
    slope_ms_ = PriorSlopeMs();
    return;
  }
  slope_ms_ += (1 - kFade) * (PriorSlopeMs() - slope_ms_);
  if (n_rows == 1) return;
  const double slope = std::max(0.0, ms - single_ms_) / (n_rows - 1);
  slope_ms_ += kPace * (slope - slope_ms_);
}

void StepCost::ObservePrefill(int64_t n_rows, double ms) {
  if (n_rows >= kLeastPrefillRows) prefill_row_ms_ = ms / static_cast<double>(n_rows);
}

}  // namespace lamina::engine
