// The sampler's distribution, computed in double by the plainest means.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/sampler.h"

namespace lamina::engine {

/// The probability of each token, given options without mirostat and with temperature > 0.
std::vector<double> ReferenceDistribution(const SamplerOptions& options,
                                          const std::vector<float>& logits,
                                          const std::vector<int32_t>& history);

/// Logits after bias, penalties and DRY.
std::vector<double> ReferenceLogits(const SamplerOptions& options, const std::vector<float>& logits,
                                    const std::vector<int32_t>& history);

}  // namespace lamina::engine
