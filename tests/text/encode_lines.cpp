// Encodes texts for the comparison with reference tokenizers (tests/oracles/compare_tokenizers.py).
// Usage: encode_lines MODEL.gguf|FOLDER [--special]
// Standard input: a JSON string per line. Standard output: the ids of a line, with spaces.
#include <iostream>
#include <nlohmann/json.hpp>

#include "text/bpe_tokenizer.h"
#include "text/loaders.h"

namespace lamina::text {
namespace {

Result<std::unique_ptr<const Tokenizer>> Open(const std::string& path) {
  if (path.ends_with(".gguf")) return Tokenizer::Create(*TRY(format::ModelSource::Open(path)));
  // A folder of tokenizer files alone, without weights.
  return std::make_unique<const BpeTokenizer>(TRY(PartsFromFolder(path)));
}

int Main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool special = argc > 2 && std::string_view(argv[2]) == "--special";
  const auto tokenizer = Open(argv[1]);
  if (!tokenizer) {
    std::cerr << tokenizer.status().message() << "\n";
    return 1;
  }
  std::string out;
  for (std::string line; std::getline(std::cin, line);) {
    const auto text = nlohmann::json::parse(line).get<std::string>();
    EncodeOptions options;
    options.parse_special = special;
    for (const TokenId id : (*tokenizer)->Encode(text, options)) {
      out += std::to_string(id) + " ";
    }
    out += "\n";
  }
  std::cout << out;
  return 0;
}

}  // namespace
}  // namespace lamina::text

int main(int argc, char** argv) { return lamina::text::Main(argc, argv); }
