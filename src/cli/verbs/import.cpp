#include "cli/options.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"

namespace lamina::cli {
namespace {

class Import : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("FILE", &path_,
                     "A .gguf file, or a folder with config.json and safetensors; used where it "
                     "lies, not copied");
    options.Text("--name", &name_, "Its name in the library; default: made from the file's name",
                 "NAME");
    options.Flag("--json", &json_, "One JSON object");
  }

  Result<int> Run(const Context&) override {
    PrintInstalled(TRY(TRY(OpenLibrary()).Import(path_, name_)), json_);
    return kDone;
  }

 private:
  std::string path_, name_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeImport() { return std::make_unique<Import>(); }

}  // namespace lamina::cli
