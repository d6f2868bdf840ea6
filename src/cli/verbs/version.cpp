#include "cli/json_output.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "kernels/dispatch.h"

namespace lamina::cli {
namespace {

class Version : public Command {
 public:
  void Define(Options& options) override { options.Flag("--json", &json_, "One JSON object"); }

  Result<int> Run(const Context&) override {
    if (!json_) {
      fmt::print("lamina {}\n", LAMINA_VERSION);
      return kDone;
    }
#ifdef LAMINA_BRIDGE
    constexpr bool kHasTemplates = true;
#else
    constexpr bool kHasTemplates = false;
#endif
    Json json;
    json["version"] = LAMINA_VERSION;
    json["isa"] = TRY(kernels::Select(""))->isa;
    json["chat_templates"] = kHasTemplates;
    PrintJson(json);
    return kDone;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeVersion() { return std::make_unique<Version>(); }

}  // namespace lamina::cli
