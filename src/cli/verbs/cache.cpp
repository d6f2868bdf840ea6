#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"
#include "cli/weight_cache.h"

namespace lamina::cli {
namespace {

using store::CachedWeights;

class Cache : public Command {
 public:
  void Define(Options& options) override {
    options.Choice(
        "ACTION", &action_, {"list", "prune", "verify"},
        "list: the files; prune: remove those of models that are gone or have changed, "
        "damaged ones, and those used longest ago beyond the budget; verify: read all of "
        "them, remove damaged ones");
    options.Flag("--all", &all_, "With prune: remove every file");
    cache_.DefineBudget(options);
    options.Flag("--json", &json_, "One JSON object");
  }

  Result<int> Run(const Context&) override {
    const std::string folder = TRY(store::WeightCache::DefaultFolder());
    const auto library = store::Library::DefaultFolder();
    const store::WeightCache cache(folder, library ? *library : "",
                                   static_cast<uint64_t>(cache_.budget_gb) * 1'000'000'000);
    if (action_ == "list") return List(cache);
    if (action_ == "verify") return Verify(cache);
    const uint64_t freed_bytes = cache.Prune(all_ ? 0 : cache.budget_bytes());
    if (json_) {
      PrintJson({{"freed_bytes", freed_bytes}, {"bytes", TotalBytes(cache.List())}});
    } else {
      fmt::print("freed {}\n", HumanBytes(freed_bytes));
    }
    return kDone;
  }

 private:
  static uint64_t TotalBytes(const std::vector<CachedWeights>& files) {
    uint64_t n_bytes = 0;
    for (const CachedWeights& file : files) n_bytes += file.bytes;
    return n_bytes;
  }

  // By the name that the library has for it, if any.
  static std::string NameOf(const std::string& model_path,
                            const std::vector<store::ModelInfo>& models) {
    for (const store::ModelInfo& model : models) {
      if (model.path == model_path) return model.name;
    }
    return model_path;
  }

  Result<int> List(const store::WeightCache& cache) {
    const auto files = cache.List();
    std::vector<store::ModelInfo> models;
    if (auto library = OpenLibrary()) {
      if (auto listed = library->List()) models = std::move(*listed);
    }
    if (json_) {
      Json list = Json::array();
      for (const CachedWeights& file : files) {
        list.push_back({{"path", file.path},
                        {"model", NameOf(file.model_path, models)},
                        {"bytes", file.bytes},
                        {"last_used_unix_s", file.last_used_unix_s},
                        {"state", store::StateName(file.state)}});
      }
      PrintJson({{"folder", cache.folder()},
                 {"budget_bytes", cache.budget_bytes()},
                 {"bytes", TotalBytes(files)},
                 {"files", std::move(list)}});
      return kDone;
    }
    if (!files.empty())
      fmt::print("{:>9}  {:<10}  {:<7}  {}\n", "SIZE", "LAST USED", "STATE", "MODEL");
    for (const CachedWeights& file : files) {
      fmt::print("{:>9}  {:<10}  {:<7}  {}\n", HumanBytes(file.bytes),
                 DateOf(file.last_used_unix_s), store::StateName(file.state),
                 NameOf(file.model_path, models));
    }
    fmt::print(stderr, "{} of {} in {}\n", HumanBytes(TotalBytes(files)),
               HumanBytes(cache.budget_bytes()), cache.folder());
    return kDone;
  }

  Result<int> Verify(const store::WeightCache& cache) {
    uint64_t n_good = 0, n_removed = 0;
    for (const CachedWeights& file : cache.List()) {
      if (store::WeightCache::Verify(file)) {
        ++n_good;
        continue;
      }
      TRY(store::WeightCache::Remove(file));
      ++n_removed;
      fmt::print(stderr, "removed {}: damaged\n", file.path);
    }
    if (json_) {
      PrintJson({{"good", n_good}, {"removed", n_removed}});
    } else {
      fmt::print("{} good, {} removed\n", n_good, n_removed);
    }
    return kDone;
  }

  std::string action_;
  CacheOptions cache_;
  bool all_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeCache() { return std::make_unique<Cache>(); }

}  // namespace lamina::cli
