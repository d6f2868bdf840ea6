#include <CLI/CLI.hpp>

#include "cli/options.h"
#include "cli/verbs.h"

namespace lamina::cli {
namespace {

class Help : public Command {
 public:
  void Define(Options& options) override {
    options.OptionalArgument("VERB", &verb_, "What to explain; default: everything, shortly");
  }

  Result<int> Run(const Context& context) override {
    const CLI::App* app = &context.app;
    if (!verb_.empty()) {
      app = context.app.get_subcommand_no_throw(verb_);
      if (!app) return UsageError(fmt::format("there is no verb {}; try: lamina help", verb_));
    }
    fmt::print("{}", app->help());
    return kDone;
  }

 private:
  std::string verb_;
};

}  // namespace

std::unique_ptr<Command> MakeHelp() { return std::make_unique<Help>(); }

}  // namespace lamina::cli
