#include "cli/loaded_model.h"

#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/machine.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#ifdef LAMINA_BRIDGE
#include "text_bridge/chat_template.h"
#endif

namespace lamina::cli {
namespace {

constexpr uint64_t kMostTemplateBytes = 1 << 20;
constexpr uint64_t kMostConfigBytes = 64 << 20;

// tokenizer_config.json has one template, or a list of named ones of which "default" is for chats.
Result<std::string> TemplateInConfig(const std::string& path) {
  const std::string content = TRY(ReadFile(path, kMostConfigBytes));
  const auto config = nlohmann::json::parse(content, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return Error(Code::kInvalidArgument, "{} is not a JSON object", path);
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array()) {
    for (const auto& entry : *found) {
      if (!entry.is_object() || entry.value("name", nlohmann::json()) != "default") continue;
      const auto source = entry.find("template");
      if (source != entry.end() && source->is_string()) return source->get<std::string>();
    }
  }
  return Error(Code::kInvalidArgument,
               "{}: chat_template is neither a text nor a list with one "
               "named \"default\"",
               path);
}

}  // namespace

void ComputeOptions::Define(Options& options) {
  options.Number("-t,--threads", &n_threads, 1, MostThreads(),
                 "Threads; default: physical cores of this process");
  options.TextOf("--kv", &kv_type, {"f32", "f16", "bf16", "q8_0"},
                 "Type of keys and values: f32, f16, bf16, q8_0; default f16");
  cache.Define(options);
}

store::Library LibraryOrPaths() {
  const auto folder = store::Library::DefaultFolder();
  return store::Library(folder ? *folder : "");
}

Result<std::unique_ptr<const format::ModelSource>> OpenModel(const std::string& name) {
  return format::ModelSource::Open(TRY(LibraryOrPaths().Resolve(name)));
}

Result<std::shared_ptr<const model::Model>> LoadWeights(const format::ModelSource& source,
                                                        ThreadPool& pool,
                                                        const ComputeOptions& options,
                                                        StatusLine& status) {
  model::LoadOptions load_options;
  load_options.kv_type = options.kv_type;
  load_options.context = options.context;
  load_options.profile = options.profile;
  const auto cache = OpenWeightCache(options.cache);
  load_options.packed_store = cache.get();
  load_options.on_packing = [&](uint64_t done_bytes, uint64_t total_bytes) {
    const double part = static_cast<double>(done_bytes) / static_cast<double>(total_bytes);
    status.Show(fmt::format("packing weights {} {:3.0f}%", Bar(part, 24), 100 * part));
  };
  auto model = TRY(model::Model::Load(source, pool, load_options));
  if (cache && !cache->problem().ok()) {
    status.Clear();
    fmt::print(stderr, "lamina: the packed weights are not kept for the next start: {}\n",
               Printable(cache->problem().message()));
  }
  return model;
}

Result<LoadedModel> LoadModel(const std::string& name, const ComputeOptions& options) {
  StatusLine status;
  status.Show(fmt::format("loading {}", name));
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded;
  loaded.source = TRY(OpenModel(name));
  loaded.tokenizer = TRY(text::Tokenizer::Create(*loaded.source));
  loaded.pool = std::make_unique<ThreadPool>(options.n_threads > 0 ? options.n_threads
                                                                   : DefaultThreadCount());
  loaded.model = TRY(LoadWeights(*loaded.source, *loaded.pool, options, status));
  loaded.load_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return loaded;
}

Result<std::string> ChatTemplateSource(const format::ModelSource& source) {
  if (source.kind() == format::ModelSource::Kind::kGguf) {
    return source.metadata().GetStringOr("tokenizer.chat_template", "");
  }
  const std::string jinja = source.path() + "/chat_template.jinja";
  if (access(jinja.c_str(), F_OK) == 0) return ReadFile(jinja, kMostTemplateBytes);
  const std::string config = source.path() + "/tokenizer_config.json";
  if (access(config.c_str(), F_OK) == 0) return TemplateInConfig(config);
  return "";
}

Result<std::unique_ptr<text::ChatTemplate>> LoadChatTemplate(const format::ModelSource& source,
                                                             const text::Tokenizer& tokenizer) {
  std::string jinja = TRY(ChatTemplateSource(source));
  if (jinja.empty()) return nullptr;
#ifdef LAMINA_BRIDGE
  return text_bridge::CreateChatTemplate(std::move(jinja), tokenizer);
#else
  (void)tokenizer;
  return Error(Code::kUnimplemented,
               "this build has no chat templates (LAMINA_BRIDGE=OFF); use --raw, which completes "
               "the prompt as it is");
#endif
}

}  // namespace lamina::cli
