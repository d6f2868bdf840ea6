#include "cli/options.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"

namespace lamina::cli {
namespace {

class Copy : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("FROM", &from_, "A model of the library");
    options.Argument("TO", &to_, "Its second name");
    options.Flag("--json", &json_, "One JSON object");
  }

  Result<int> Run(const Context&) override {
    PrintInstalled(TRY(TRY(OpenLibrary()).Copy(from_, to_)), json_);
    return kDone;
  }

 private:
  std::string from_, to_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeCopy() { return std::make_unique<Copy>(); }

}  // namespace lamina::cli
