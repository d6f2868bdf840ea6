#include "store/hub.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "format/json.h"
#include "format/quote.h"
#include "store/name.h"
#include "store/sha256.h"

namespace lamina::store {
namespace {

constexpr std::string_view kDefaultEndpoint = "https://huggingface.co";
constexpr std::string_view kPreferredQuant = "Q4_K_M";
constexpr uint64_t kMaxListBytes = 16 << 20;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

bool IsOffline() {
  const std::string value = Upper(FromEnvironment("HF_HUB_OFFLINE"));
  return value == "1" || value == "TRUE" || value == "YES" || value == "ON";
}

// "dir/Name-Q4_K_M-00001-of-00002.gguf" -> "Q4_K_M": the last piece of the name.
std::string QuantOf(std::string_view path) {
  std::string_view stem = path.substr(path.rfind('/') + 1);
  stem.remove_suffix(5);  // .gguf
  if (stem.size() > 15 && stem.substr(stem.size() - 9, 4) == "-of-") stem.remove_suffix(15);
  const size_t at = stem.find_last_of("-.");
  return Upper(std::string(at == stem.npos ? stem : stem.substr(at + 1)));
}

std::string PercentEncoded(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~' || c == '/') {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", byte);
    }
  }
  return encoded;
}

struct Listed {
  std::string path;
  uint64_t bytes;
  std::string sha256;
};

// Model files by the quantization in their names; adapters and projectors are no models.
std::map<std::string, std::vector<Listed>> GroupByQuant(const nlohmann::json& list) {
  std::map<std::string, std::vector<Listed>> groups;
  for (const auto& item : list.at("siblings")) {
    Listed file{item.at("rfilename").get<std::string>(), 0, ""};
    if (!file.path.ends_with(".gguf") || file.path.find("mmproj") != std::string::npos) continue;
    if (item.contains("lfs") && item["lfs"].is_object()) {
      file.bytes = item["lfs"].at("size").get<uint64_t>();
      file.sha256 = item["lfs"].at("sha256").get<std::string>();
    } else {
      file.bytes = item.at("size").get<uint64_t>();
    }
    groups[QuantOf(file.path)].push_back(std::move(file));
  }
  for (auto& [quant, files] : groups) {
    std::sort(files.begin(), files.end(),
              [](const Listed& a, const Listed& b) { return a.path < b.path; });
  }
  return groups;
}

std::string LicenceOf(const nlohmann::json& list) {
  const auto card = list.value("cardData", nlohmann::json());
  if (card.is_object() && card.value("license", nlohmann::json()).is_string()) {
    return card["license"].get<std::string>().substr(0, 80);
  }
  return "";
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// The files that are meant: one by its name, or all of a quantization, where they are one model.
Result<std::vector<Listed>> Choose(const HubReference& reference, const nlohmann::json& list,
                                   std::string& quant) {
  auto groups = GroupByQuant(list);
  if (groups.empty()) {
    return Error(Code::kNotFound,
                 "{}/{} holds no .gguf file; look for a repository whose name ends in -GGUF",
                 reference.org, reference.repo);
  }
  for (const auto& [name, files] : groups) {
    for (const Listed& file : files) {
      if (BaseName(file.path) == reference.quant) return std::vector<Listed>{file};
    }
  }
  if (quant.empty()) {
    quant = groups.size() == 1 ? groups.begin()->first : std::string(kPreferredQuant);
  }
  const auto found = groups.find(quant);
  if (found == groups.end()) {
    std::string choices;
    for (const auto& [name, files] : groups) {
      if (ParseName(name)) choices += (choices.empty() ? "" : ", ") + name;  // fit for a terminal
    }
    return Error(Code::kNotFound, "{}/{} has no {}; it has {}", reference.org, reference.repo,
                 format::Quote(quant), choices);
  }
  std::vector<Listed>& files = found->second;
  const bool is_split = std::all_of(files.begin(), files.end(), [](const Listed& file) {
    return file.path.find("-of-") != std::string::npos;
  });
  if (files.size() > 1 && !is_split) {
    return Error(Code::kInvalidArgument,
                 "{}/{} has several files of {}, such as {} and {}; give a file's name after the "
                 "colon",
                 reference.org, reference.repo, quant, format::Quote(BaseName(files[0].path)),
                 format::Quote(BaseName(files[1].path)));
  }
  return std::move(files);
}

}  // namespace

Result<HubReference> ParseHubReference(std::string_view source) {
  const auto name = ParseName(source);
  const size_t slash = source.find('/');
  const size_t second = slash == source.npos ? slash : source.find('/', slash + 1);
  if (!name || second == source.npos || source.find('/', second + 1) != source.npos) {
    return Error(Code::kInvalidArgument,
                 "{} is not of the form hf.co/ORG/REPO or hf.co/ORG/REPO:QUANT",
                 format::Quote(source));
  }
  const size_t colon = source.find(':');
  return HubReference{std::string(source.substr(slash + 1, second - slash - 1)),
                      std::string(source.substr(second + 1, colon - second - 1)),
                      colon == source.npos ? "" : std::string(source.substr(colon + 1))};
}

Result<HubModel> FindOnHub(const HubReference& reference, ProgressCallback progress) {
  if (IsOffline()) {
    return Error(
        Code::kFailedPrecondition,
        "HF_HUB_OFFLINE is set, so nothing is asked of the hub; see lamina list for what is here");
  }
  std::string endpoint = FromEnvironment("HF_ENDPOINT");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (endpoint.empty()) endpoint = kDefaultEndpoint;
  const std::string repo = reference.org + "/" + reference.repo;
  HttpTarget target{endpoint + "/api/models/" + repo + "?blobs=true", FromEnvironment("HF_TOKEN"),
                    endpoint.starts_with("http://")};
  auto text = FetchText(target, kMaxListBytes, progress);
  if (!text) {
    const Code code = text.error().code();
    if (code != Code::kUnauthenticated && code != Code::kPermissionDenied)
      return Error(text.error());
    return Error(code,
                 "{}; {} may be private or gated: accept its terms on the hub and set HF_TOKEN",
                 text.error().message(), repo);
  }
  const auto list = format::ParseJson(*text);
  if (!list) return Error(list.error().Prefixed("the hub's answer"));
  try {
    HubModel model{Upper(reference.quant), LicenceOf(*list), {}};
    for (const Listed& file : TRY(Choose(reference, *list, model.quant))) {
      target.url = endpoint + "/" + repo + "/resolve/main/" + PercentEncoded(file.path);
      model.files.push_back({target, std::string(BaseName(file.path)), file.bytes,
                             IsSha256(file.sha256) ? file.sha256 : ""});
    }
    return model;
  } catch (const nlohmann::json::exception&) {
    return Error(Code::kDataLoss, "the hub's answer about {} lacks a field or has a wrong type",
                 repo);
  }
}

}  // namespace lamina::store
