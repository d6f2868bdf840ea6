#include "cli/weight_cache.h"

#include "cli/options.h"
#include "store/library.h"

namespace lamina::cli {
namespace {

constexpr int64_t kMostGigabytes = 1'000'000;

}  // namespace

void CacheOptions::Define(Options& options) {
  options.Flag("--no-cache", &no_cache,
               "Pack the weights anew and keep no file of them for the next start");
  DefineBudget(options);
}

void CacheOptions::DefineBudget(Options& options) {
  options.Number("--cache-gb", &budget_gb, 0, kMostGigabytes,
                 "Most GB of the disk for packed weights; default 20");
}

std::unique_ptr<store::WeightCache> OpenWeightCache(const CacheOptions& options) {
  if (options.no_cache || options.budget_gb == 0) return nullptr;
  const auto folder = store::WeightCache::DefaultFolder();
  if (!folder) return nullptr;
  const auto library = store::Library::DefaultFolder();
  return std::make_unique<store::WeightCache>(
      *folder, library ? *library : "", static_cast<uint64_t>(options.budget_gb) * 1'000'000'000);
}

}  // namespace lamina::cli
