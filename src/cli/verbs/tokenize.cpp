#include <cstdio>

#include "cli/json_output.h"
#include "cli/loaded_model.h"
#include "cli/options.h"
#include "cli/standard_input.h"
#include "cli/verbs.h"

namespace lamina::cli {
namespace {

class Tokenize : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("MODEL", &model_, "Whose tokenizer");
    options.Flag("--special", &encode_.parse_special,
                 "Read special tokens (\"<|im_end|>\") as what they name, not as text");
    options.Flag("--bos", &encode_.add_bos,
                 "Begin with the beginning-of-sequence token where the model asks for one");
    options.Flag("--json", &json_, "One JSON object: {\"ids\": [...]}");
  }

  Result<int> Run(const Context&) override {
    const auto source = TRY(OpenModel(model_));
    const auto tokenizer = TRY(text::Tokenizer::Create(*source));
    const auto ids = tokenizer->Encode(TRY(ReadStandardInput()), encode_);
    if (json_) {
      Json json;
      json["ids"] = ids;
      PrintJson(json);
      return kDone;
    }
    std::string line;
    for (size_t i = 0; i < ids.size(); ++i) line += fmt::format("{}{}", i > 0 ? " " : "", ids[i]);
    fmt::print("{}\n", line);
    return kDone;
  }

 private:
  std::string model_;
  text::EncodeOptions encode_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeTokenize() { return std::make_unique<Tokenize>(); }

}  // namespace lamina::cli
