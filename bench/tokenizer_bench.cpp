// How fast tokenizers encode and decode: tokenizer_bench [MODEL.gguf [TEXT_FILE]]; without
// arguments the two real models of the tests.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>

#include "base/file.h"
#include "text/tokenizer.h"

namespace lamina::text {
namespace {

constexpr double kMinSeconds = 0.5;  // per measurement

/// Seconds of one call, the best of as many as fit.
template <class Call>
double BestSeconds(Call call) {
  double best_s = 1e9;
  double total_s = 0;
  while (total_s < kMinSeconds) {
    const auto begin = std::chrono::steady_clock::now();
    call();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    best_s = std::min(best_s, elapsed.count());
    total_s += elapsed.count();
  }
  return best_s;
}

/// Prose with the repetitions, numbers and punctuation of any text.
std::string MakeProse() {
  static constexpr std::string_view kWords[] = {
      "the",  "engine", "reads",  "a",     "model",   "from", "disk",  "and",     "answers",
      "with", "one",    "token",  "after", "another", "It's", "small", "private", "quick",
      "on",   "every",  "laptop", "2,048", "3.14",    "in",   "Paris", "context", "windows"};
  std::string text;
  uint32_t random = 1;
  while (text.size() < 1 << 20) {
    random = random * 1664525 + 1013904223;
    text += kWords[(random >> 16) % std::size(kWords)];
    text += (random >> 8) % 11 == 0 ? ".\n" : (random >> 8) % 7 == 0 ? ", " : " ";
  }
  return text;
}

Result<> Run(const char* model_path, const char* text_path) {
  const auto source = TRY(format::ModelSource::Open(model_path));
  std::unique_ptr<const Tokenizer> tokenizer;
  Status failed;
  const double load_s = BestSeconds([&] {
    auto created = Tokenizer::Create(*source);
    if (!created) {
      failed = created.error();
    } else {
      tokenizer = std::move(*created);
    }
  });
  if (!failed.ok()) return Error(failed);
  fmt::print("{}: {} tokens, read in {:.0f} ms\n", model_path, tokenizer->n_vocab(), load_s * 1e3);

  const auto measure = [&](std::string_view name, const std::string& text) {
    std::vector<TokenId> ids;
    const double encode_s = BestSeconds([&] { ids = tokenizer->Encode(text, {}); });
    std::string decoded;
    const double decode_s = BestSeconds([&] { decoded = tokenizer->Decode(ids); });
    fmt::print("  {:<16} {:7.1f} MB/s encode  {:7.1f} MB/s decode  {:.2f} bytes per token\n", name,
               text.size() / encode_s / 1e6, decoded.size() / decode_s / 1e6,
               static_cast<double>(text.size()) / static_cast<double>(ids.size()));
  };
  if (text_path != nullptr) measure("file", TRY(ReadFile(text_path, uint64_t{1} << 30)));
  const std::string prose = MakeProse();
  measure("prose", prose);
  measure("prose, 200 bytes", prose.substr(0, 200));
  measure("one letter", std::string(1'000'000, 'a'));
  measure("newlines", std::string(1'000'000, '\n'));
  return {};
}

}  // namespace
}  // namespace lamina::text

int main(int argc, char** argv) {
  std::vector<std::string> models;
  if (argc > 1) {
    models = {argv[1]};
  } else {
    const char* folder = std::getenv("LAMINA_TEST_MODELS");
    for (const char* name : {"/smollm2.gguf", "/gemma3.gguf"}) {
      models.push_back((folder ? folder : "build/models") + std::string(name));
    }
  }
  for (const std::string& model : models) {
    const auto done = lamina::text::Run(model.c_str(), argc > 2 ? argv[2] : nullptr);
    if (!done) {
      fmt::print(stderr, "{}; `make models` fetches the models\n", done.error().message());
      return 1;
    }
  }
  return 0;
}
