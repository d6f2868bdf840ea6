// What a step of so many rows costs on this machine now.
#pragma once

#include <array>

#include "engine/drafter.h"

namespace lamina::engine {

/// Running estimates of the time of decode steps by their rows, from those that ran. Rows that
/// never ran, or not for long, are put on a line: one row's time, and so much per further row.
class StepCost {
 public:
  /// Whether steps without drafts have been seen often enough to compare with.
  bool known() const { return n_plain_ >= kLeastPlain; }
  /// Milliseconds of a step of n_rows (1 to kMaxDraftedRows).
  double StepMs(int n_rows) const;
  /// What one more row is taken to cost.
  double RowMs() const { return slope_ms_; }

  /// A step that decoded or checked drafts took ms. More rows than kMaxDraftedRows are ignored.
  void ObserveStep(int n_rows, double ms);
  /// A step of n_rows of a prompt took ms: what rows cost before any have been measured.
  void ObservePrefill(int64_t n_rows, double ms);

 private:
  static constexpr int kLeastPlain = 2;

  double LineMs(int n_rows) const { return single_ms_ + slope_ms_ * (n_rows - 1); }
  double PriorSlopeMs() const;

  struct Measured {
    double ms = 0;
    double weight = 0;
  };
  std::array<Measured, kMaxDraftedRows + 1> rows_{};  ///< By rows.
  double single_ms_ = 0;
  double slope_ms_ = 0;
  double prefill_row_ms_ = 0;  ///< 0 = not known.
  int n_single_ = 0;
  int n_plain_ = 0;
};

}  // namespace lamina::engine
