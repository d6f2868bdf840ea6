#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"

namespace lamina::cli {
namespace {

class List : public Command {
 public:
  void Define(Options& options) override {
    options.Flag("-q,--quiet", &quiet_, "Names only");
    options.Flag("--json", &json_, "One JSON object: {\"models\": [...]}");
  }

  Result<int> Run(const Context&) override {
    const auto models = TRY(TRY(OpenLibrary()).List());
    if (json_) {
      Json list = Json::array();
      for (const auto& model : models) list.push_back(ModelAsJson(model));
      PrintJson({{"models", std::move(list)}});
      return kDone;
    }
    size_t width = 4;
    for (const auto& model : models) width = std::max(width, model.name.size());
    if (!quiet_ && models.empty()) {
      fmt::print(stderr, "no models yet; try: lamina pull smollm2:135m-instruct-q4_1\n");
    } else if (!quiet_) {
      fmt::print("{:<{}}  {:>9}  {:<10}  {}\n", "NAME", width, "SIZE", "INSTALLED", "LICENCE");
    }
    for (const auto& model : models) {
      if (quiet_) {
        fmt::print("{}\n", model.name);
        continue;
      }
      fmt::print("{:<{}}  {:>9}  {:<10}  {}\n", model.name, width, HumanBytes(model.bytes),
                 DateOf(model.installed_unix_s), Printable(model.licence));
    }
    return kDone;
  }

 private:
  bool quiet_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeList() { return std::make_unique<List>(); }

}  // namespace lamina::cli
