#include <algorithm>
#include <map>

#include "cli/loaded_model.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"
#include "cli/weight_cache.h"

namespace lamina::cli {
namespace {

struct TypeShare {
  std::string name;
  uint64_t n_tensors = 0, bytes = 0;
};

// Types by the bytes they hold, most first.
std::vector<TypeShare> QuantizationMix(const format::ModelSource& source) {
  std::map<std::string, TypeShare> by_name;
  for (const auto& tensor : source.tensors()) {
    TypeShare& share = by_name[std::string(tensor.type->name)];
    share.name = tensor.type->name;
    ++share.n_tensors;
    share.bytes += tensor.data.size();
  }
  std::vector<TypeShare> shares;
  shares.reserve(by_name.size());
  for (auto& [name, share] : by_name) shares.push_back(std::move(share));
  std::sort(shares.begin(), shares.end(),
            [](const TypeShare& a, const TypeShare& b) { return a.bytes > b.bytes; });
  return shares;
}

class Show : public Command {
 public:
  void Define(Options& options) override {
    options.Argument("MODEL", &model_, "Which model");
    options.Flag("--template", &template_, "Print the chat template alone");
    options.Flag("--json", &json_, "One JSON object");
  }

  Result<int> Run(const Context&) override {
    const auto source = TRY(OpenModel(model_));
    const std::string jinja = TRY(ChatTemplateSource(*source));
    if (template_) {
      fmt::print("{}\n", jinja);
      return kDone;
    }
    const auto details = TRY(LibraryOrPaths().Show(model_));
    const auto mix = QuantizationMix(*source);
    const auto cache = OpenWeightCache({});
    const uint64_t cache_bytes = cache ? cache->BytesOf(source->path()) : 0;
    if (json_) {
      PrintDetailsJson(details, mix, jinja, cache_bytes);
    } else {
      PrintDetails(details, mix, jinja, cache_bytes);
    }
    return kDone;
  }

 private:
  static void PrintDetailsJson(const store::ModelDetails& details,
                               const std::vector<TypeShare>& mix, const std::string& jinja,
                               uint64_t cache_bytes) {
    Json json = ModelAsJson(details.info);
    json["architecture"] = details.architecture;
    json["parameters"] = details.n_parameters;
    json["layers"] = details.n_layers;
    json["context"] = details.n_ctx_train;
    json["d_model"] = details.d_model;
    json["n_vocab"] = details.n_vocab;
    json["type"] = details.type;
    Json types = Json::array();
    for (const auto& share : mix) {
      types.push_back({{"type", share.name}, {"tensors", share.n_tensors}, {"bytes", share.bytes}});
    }
    json["quantization"] = std::move(types);
    json["cache_bytes"] = cache_bytes;
    json["chat_template"] = jinja.empty() ? Json(nullptr) : Json(jinja);
    PrintJson(json);
  }

  static void PrintDetails(const store::ModelDetails& details, const std::vector<TypeShare>& mix,
                           const std::string& jinja, uint64_t cache_bytes) {
    const auto line = [](const char* name, const std::string& value) {
      if (!value.empty()) fmt::print("{:<14}{}\n", name, Printable(value));
    };
    line("name", details.info.name);
    line("architecture", details.architecture);
    line("parameters", HumanCount(details.n_parameters));
    line("layers", fmt::format("{}, {} wide", details.n_layers, details.d_model));
    line("context", fmt::format("{} tokens", details.n_ctx_train));
    line("vocabulary", fmt::format("{} tokens", details.n_vocab));
    std::string types;
    for (const auto& share : mix) {
      types += fmt::format("{}{} {} in {} tensors", types.empty() ? "" : ", ", share.name,
                           HumanBytes(share.bytes), share.n_tensors);
    }
    line("quantization", types);
    line("size", HumanBytes(details.info.bytes));
    line("cache", cache_bytes == 0 ? "" : HumanBytes(cache_bytes) + " of packed weights");
    line("licence", details.info.licence.empty() ? "not known" : details.info.licence);
    line("template", jinja.empty() ? "none: completes text"
                                   : fmt::format("{} characters (show --template)", jinja.size()));
    line("source", details.info.source);
    line("path", details.info.path);
  }

  std::string model_;
  bool template_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeShow() { return std::make_unique<Show>(); }

}  // namespace lamina::cli
