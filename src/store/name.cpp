#include "store/name.h"

#include <algorithm>

#include "format/quote.h"

namespace lamina::store {
namespace {

constexpr std::string_view kDefaultTag = "latest";
constexpr std::string_view kManifestSuffix = ".json";
constexpr size_t kMaxNameBytes = 200;  // a file's name holds 255
constexpr int kMaxParts = 4;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsNameCharacter(char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; }

bool IsPart(std::string_view part) {
  return !part.empty() && IsAlphanumeric(part[0]) &&
         std::all_of(part.begin(), part.end(), IsNameCharacter) &&
         part.find("..") == std::string_view::npos;
}

}  // namespace

Result<std::string> ParseName(std::string_view name) {
  const size_t colon = name.find(':');
  const std::string_view tag = colon == name.npos ? kDefaultTag : name.substr(colon + 1);
  std::string_view rest = name.substr(0, colon);
  bool is_valid = name.size() <= kMaxNameBytes && IsPart(tag);
  for (int n_parts = 1; is_valid; ++n_parts) {
    const size_t slash = rest.find('/');
    is_valid = IsPart(rest.substr(0, slash)) && n_parts <= kMaxParts;
    if (slash == rest.npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (!is_valid) {
    return Error(Code::kInvalidArgument,
                 "{} is not a model's name; names look like smollm2:135m-instruct-q4_1: letters, "
                 "digits and . _ - only",
                 format::Quote(name));
  }
  return std::string(name.substr(0, colon)) + ":" + std::string(tag);
}

std::string ManifestFileName(std::string_view name) {
  std::string file_name(name);
  std::replace(file_name.begin(), file_name.end(), '/', '+');
  std::replace(file_name.begin(), file_name.end(), ':', '@');
  return file_name + std::string(kManifestSuffix);
}

Result<std::string> NameOfManifest(std::string_view file_name) {
  if (!file_name.ends_with(kManifestSuffix)) {
    return Error(Code::kInvalidArgument, "{} is not a manifest", format::Quote(file_name));
  }
  std::string name(file_name.substr(0, file_name.size() - kManifestSuffix.size()));
  std::replace(name.begin(), name.end(), '+', '/');
  std::replace(name.begin(), name.end(), '@', ':');
  return ParseName(name);
}

std::string NameFromFile(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  std::string_view stem = path.substr(path.rfind('/') + 1);
  if (stem.ends_with(".gguf")) stem.remove_suffix(5);
  std::string name;
  for (const char c : stem.substr(0, 100)) {
    const char kept = IsNameCharacter(c) ? c : '-';
    if (name.empty() && !IsAlphanumeric(kept)) continue;
    if (kept == '.' && name.ends_with('.')) continue;
    name += kept;
  }
  return name.empty() ? "model" : name;
}

}  // namespace lamina::store
