// The cache of packed weights as the command line uses it.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "store/weight_cache.h"

namespace lamina::cli {

class Options;

/// Options of every verb that loads a model, and of `cache`.
struct CacheOptions {
  bool no_cache = false;
  int64_t budget_gb = 20;

  void Define(Options& options);
  void DefineBudget(Options& options);
};

/// The cache of this user, or null where it is switched off or there is no folder for it.
std::unique_ptr<store::WeightCache> OpenWeightCache(const CacheOptions& options);

}  // namespace lamina::cli
