#include "store/manifest.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "format/json.h"
#include "format/quote.h"
#include "store/name.h"
#include "store/sha256.h"

namespace lamina::store {
namespace {

constexpr int kManifestVersion = 1;

Result<ModelInfo> FromJson(const nlohmann::json& json, const Layout& layout) {
  ModelInfo info{};
  if (json.at("version").get<int>() != kManifestVersion) {
    return Error(Code::kUnimplemented, "version is not {}; it was written by another Lamina",
                 kManifestVersion);
  }
  info.source = json.at("source").get<std::string>();
  info.licence = json.at("licence").get<std::string>();
  info.is_in_place = json.at("in_place").get<bool>();
  info.installed_unix_s = json.at("installed_unix_s").get<int64_t>();
  for (const auto& item : json.at("files")) {
    ModelFile file{};
    file.bytes = item.at("bytes").get<uint64_t>();
    file.sha256 = item.at("sha256").get<std::string>();
    if (info.is_in_place) {
      file.path = item.at("path").get<std::string>();
    } else {
      if (!IsSha256(file.sha256)) {
        return Error(Code::kInvalidArgument, "sha256 is not 64 hexadecimal digits");
      }
      file.path = layout.BlobPath(file.sha256);
    }
    info.bytes += file.bytes;
    info.files.push_back(std::move(file));
  }
  if (info.files.empty()) return Error(Code::kInvalidArgument, "files is empty");
  info.path = info.files[0].path;
  if (json.contains("path")) info.path = json["path"].get<std::string>();
  if (json.contains("set")) {
    const auto& set = json["set"];
    const std::string folder = set.at("folder").get<std::string>();
    const std::string first = set.at("first").get<std::string>();
    if (!IsSha256(folder) || first.find('/') != std::string::npos) {
      return Error(Code::kInvalidArgument, "set is damaged");
    }
    info.path = layout.sets + "/" + folder + "/" + first;
  }
  return info;
}

}  // namespace

std::string PlainLicence(std::string_view text) {
  std::string plain;
  for (const char c : text) plain += c >= 0x20 && c < 0x7f ? c : '?';
  return plain;
}

Result<ModelInfo> ReadManifest(const Layout& layout, const std::string& name) {
  const std::string path = layout.manifests + "/" + ManifestFileName(name);
  auto json = format::ReadJsonFile(path, format::kMaxConfigBytes);
  if (!json && json.error().code() == Code::kNotFound) {
    return Error(Code::kNotFound, "there is no model {} in the library; see lamina list", name);
  }
  Result<ModelInfo> info = ModelInfo{};
  if (!json) {
    info = Error(json.error());
  } else {
    try {
      info = FromJson(*json, layout);
    } catch (const nlohmann::json::exception&) {
      info = Error(Code::kInvalidArgument, "a field is missing or has another type");
    }
  }
  if (!info) {
    return Error(Code::kDataLoss, "the manifest {} is damaged ({}); remove it and pull again", path,
                 info.error().message());
  }
  info->name = name;
  return info;
}

Result<> WriteManifest(const Layout& layout, const ModelInfo& info) {
  nlohmann::json json;
  json["version"] = kManifestVersion;
  json["source"] = info.source;
  json["licence"] = info.licence;
  json["in_place"] = info.is_in_place;
  json["installed_unix_s"] = info.installed_unix_s;
  json["files"] = nlohmann::json::array();
  for (const ModelFile& file : info.files) {
    nlohmann::json item = {{"bytes", file.bytes}, {"sha256", file.sha256}};
    if (info.is_in_place) item["path"] = file.path;
    json["files"].push_back(std::move(item));
  }
  if (info.is_in_place) json["path"] = info.path;
  if (info.path.starts_with(layout.sets + "/")) {
    const std::string inner = info.path.substr(layout.sets.size() + 1);
    const size_t slash = inner.find('/');
    json["set"] = {{"folder", inner.substr(0, slash)}, {"first", inner.substr(slash + 1)}};
  }
  const std::string path = layout.manifests + "/" + ManifestFileName(info.name);
  RemoveLeftovers(path);
  try {
    return WriteFileAtomically(path, json.dump(2) + "\n");
  } catch (const nlohmann::json::exception&) {
    return Error(Code::kInvalidArgument, "the path {} is not UTF-8, which the library needs",
                 format::Quote(info.path));
  }
}

}  // namespace lamina::store
