#include "cli/verbs/library_verbs.h"

#include <ctime>

#include "cli/terminal.h"

namespace lamina::cli {

Result<store::Library> OpenLibrary() {
  return store::Library(TRY(store::Library::DefaultFolder()));
}

Json ModelAsJson(const store::ModelInfo& model) {
  Json json;
  json["name"] = model.name;
  json["path"] = model.path;
  json["source"] = model.source;
  json["licence"] = model.licence;
  json["in_place"] = model.is_in_place;
  json["bytes"] = model.bytes;
  json["installed_unix_s"] = model.installed_unix_s;
  Json files = Json::array();
  for (const auto& file : model.files) {
    files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  json["files"] = std::move(files);
  return json;
}

void PrintInstalled(const store::ModelInfo& model, bool json) {
  if (json) return PrintJson(ModelAsJson(model));
  fmt::print("{}  {}  licence: {}\n", model.name, HumanBytes(model.bytes),
             model.licence.empty() ? "not known" : Printable(model.licence));
}

std::string DateOf(int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm parts{};
  if (!gmtime_r(&time, &parts)) return "";
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

}  // namespace lamina::cli
