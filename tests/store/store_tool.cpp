// The library's verbs for tests: store_tool VERB ARGUMENTS. Results on stdout, errors on stderr as
// "code: message".
#include <fmt/core.h>

#include <cstring>

#include "store/library.h"

namespace {

using lamina::Result;
using lamina::store::Library;
using lamina::store::ModelInfo;

Result<std::string> Line(const Result<ModelInfo>& info) {
  if (!info) return lamina::Error(info.error());
  return fmt::format("{} {} {}", info->name, info->bytes, info->files[0].sha256);
}

Result<std::string> Run(Library& library, const std::string& verb, const std::string& a,
                        const std::string& b) {
  if (verb == "pull") {
    return Line(library.Pull(a, b, [](const lamina::store::Progress& p) {
      fmt::print(stderr, "{} {} {}\n", p.stage, p.done_bytes, p.total_bytes);
      return true;
    }));
  }
  if (verb == "import") return Line(library.Import(a, b));
  if (verb == "cp") return Line(library.Copy(a, b));
  if (verb == "resolve") return library.Resolve(a);
  if (verb == "rm") {
    TRY(library.Remove(a));
    return "";
  }
  if (verb == "show") {
    const auto details = TRY(library.Show(a));
    return fmt::format("{} {} {} {} {}", details.info.name, details.architecture, details.type,
                       details.n_parameters, details.info.licence);
  }
  std::string lines;
  for (const ModelInfo& info : TRY(library.List())) lines += TRY(Line(info)) + "\n";
  return lines;
}

}  // namespace

int main(int n_arguments, char** arguments) {
  const auto argument = [&](int i) { return std::string(i < n_arguments ? arguments[i] : ""); };
  const auto folder = Library::DefaultFolder();
  if (!folder) return 2;
  Library library(*folder);
  const auto result = Run(library, argument(1), argument(2), argument(3));
  if (!result) {
    fmt::print(stderr, "{}: {}\n", lamina::CodeName(result.error().code()),
               result.error().message());
    return 1;
  }
  fmt::print("{}\n", *result);
  return 0;
}
