// Rotary angles: frequencies of each RopeSpec, cosines and sines of a position.
#pragma once

#include <cstdint>
#include <vector>

#include "model/spec.h"

namespace lamina::model {

/// The frequencies of one RopeSpec (arXiv:2104.09864; YaRN: arXiv:2309.00071), f32 as reference
/// implementations hold them.
class RopeTable {
 public:
  explicit RopeTable(const RopeSpec& spec);

  int n_pairs() const { return static_cast<int>(frequencies_.size()); }
  /// cos, sin [n_pairs] of a position, times the spec's magnitude.
  void Angles(int64_t position, bool long_factors, float* cos, float* sin) const;

 private:
  float magnitude_;
  std::vector<float> frequencies_;
  std::vector<float> long_frequencies_;  ///< Equal to frequencies_ where there are no others.
};

}  // namespace lamina::model
