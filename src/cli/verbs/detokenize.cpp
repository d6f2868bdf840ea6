#include <cstdio>

#include "cli/json_output.h"
#include "cli/loaded_model.h"
#include "cli/options.h"
#include "cli/standard_input.h"
#include "cli/verbs.h"

namespace lamina::cli {
namespace {

class Detokenize : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("MODEL", &model_, "Whose tokenizer");
    options.Flag("--special", &special_, "Write special tokens by their names");
    options.Flag("--json", &json_, "One JSON object: {\"text\": \"...\"}");
  }

  Result<int> Run(const Context&) override {
    const auto source = TRY(OpenModel(model_));
    const auto tokenizer = TRY(text::Tokenizer::Create(*source));
    const auto ids =
        TRY(ParseIds(TRY(ReadStandardInput()), tokenizer->n_vocab(), "standard input"));
    const std::string text = tokenizer->Decode(ids, special_);
    if (json_) {
      Json json;
      json["text"] = text;
      PrintJson(json);
    } else {
      // The text and nothing more, so that tokenize gives the ids back.
      std::fwrite(text.data(), 1, text.size(), stdout);
    }
    return kDone;
  }

 private:
  std::string model_;
  bool special_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeDetokenize() { return std::make_unique<Detokenize>(); }

}  // namespace lamina::cli
