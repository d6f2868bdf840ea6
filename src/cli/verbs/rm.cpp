#include "cli/options.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"

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
      TRY(library.Remove(name));
      fmt::print(stderr, "removed {}\n", name);
    }
    return kDone;
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Command> MakeRemove() { return std::make_unique<Remove>(); }

}  // namespace lamina::cli
