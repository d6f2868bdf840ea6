#include "cli/verbs.h"

namespace lamina::cli {
namespace {

constexpr Verb kVerbs[] = {
    {"run", "Chat with a model, or answer once", MakeRun},
    {"pull", "Download a model into the library", MakePull},
    {"list", "List the models of the library", MakeList},
    {"show", "Show what a model is", MakeShow},
    {"rm", "Remove models from the library", MakeRemove},
    {"import", "Add a model file to the library, in place", MakeImport},
    {"cp", "Give a model a second name", MakeCopy},
    {"cache", "List or prune the packed weights kept for quick starts", MakeCache},
    {"tokenize", "Text on standard input to token ids", MakeTokenize},
    {"detokenize", "Token ids on standard input to text", MakeDetokenize},
    {"logits", "Write a model's logits for given ids to a file", MakeLogits},
    {"bench", "Measure a model's speed here", MakeBench},
    {"doctor", "What this machine is, and which models fit it", MakeDoctor},
    {"completion", "Print completions for a shell", MakeCompletion},
    {"version", "Print the version", MakeVersion},
    {"help", "Print help, of a verb too", MakeHelp},
};

}  // namespace

std::span<const Verb> Verbs() { return kVerbs; }

}  // namespace lamina::cli
