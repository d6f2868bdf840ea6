#include <algorithm>

#include "cli/options.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"
#include "cli/weight_cache.h"

namespace lamina::cli {
namespace {

class Remove : public Command {
 public:
  void Define(Options& options) override {
    options.Arguments("NAME", &names_, "Models to remove; files imported in place stay");
  }

  Result<int> Run(const Context&) override {
    if (names_.empty()) return UsageError("rm needs the NAME of a model; see: lamina list");
    store::Library library = TRY(OpenLibrary());
    for (const std::string& name : names_) {
      TRY(RemovePackedWeights(library, name));
      TRY(library.Remove(name));
      fmt::print(stderr, "removed {}\n", name);
    }
    return kDone;
  }

 private:
  // Of the model of this name, if no other name stands for the same model.
  static Result<> RemovePackedWeights(const store::Library& library, const std::string& name) {
    const auto cache = OpenWeightCache({});
    const auto models = library.List();
    if (!cache || !models) return {};
    const std::string full_name = TRY(library.FullName(name));
    std::string path;
    for (const store::ModelInfo& model : *models) {
      if (model.name == full_name) path = model.path;
    }
    const auto n_names = std::count_if(models->begin(), models->end(),
                                       [&](const auto& model) { return model.path == path; });
    if (n_names == 1) cache->RemoveModel(path);
    return {};
  }

  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Command> MakeRemove() { return std::make_unique<Remove>(); }

}  // namespace lamina::cli
