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
    if (verb_.empty()) {
      fmt::print("{}", GeneralHelp());
      return kDone;
    }
    const auto named = context.app.get_subcommands(
        [&](const CLI::App* verb) { return verb->get_name() == verb_; });
    if (named.empty()) {
      return UsageError(fmt::format("there is no verb {}; try: lamina help", verb_));
    }
    fmt::print("{}", named.front()->help("lamina"));
    return kDone;
  }

 private:
  std::string verb_;
};

}  // namespace

std::unique_ptr<Command> MakeHelp() { return std::make_unique<Help>(); }

}  // namespace lamina::cli
