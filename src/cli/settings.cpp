#include "cli/settings.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/file.h"

namespace lamina::cli {
namespace {

constexpr uint64_t kMostBytes = 1 << 20;

// Tables that belong to no verb of this program yet, but to the file.
constexpr const char* kForeignTables[] = {"server"};

std::string FilePath() {
  if (const char* folder = std::getenv("XDG_CONFIG_HOME"); folder && *folder) {
    return std::string(folder) + "/lamina/lamina.toml";
  }
  const char* home = std::getenv("HOME");
  return home ? std::string(home) + "/.config/lamina/lamina.toml" : "";
}

std::optional<std::string> AsText(const toml::node& node) {
  if (const auto text = node.value<std::string>(); text && node.is_string()) return *text;
  if (const auto number = node.as_integer()) return std::to_string(number->get());
  if (const auto number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

Result<> Collect(const toml::table& table, const std::string& prefix, const std::string& path,
                 std::map<std::string, std::string>& values) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (prefix.empty() && node.is_table()) {
      TRY(Collect(*node.as_table(), key + ".", path, values));
      continue;
    }
    const auto text = AsText(node);
    if (!text) {
      return Error(Code::kInvalidArgument, "{}: {} must be a text, a number or true or false", path,
                   key);
    }
    values[key] = *text;
  }
  return {};
}

}  // namespace

Result<Settings> Settings::Read() {
  Settings settings;
  settings.path_ = FilePath();
  if (settings.path_.empty() || access(settings.path_.c_str(), F_OK) != 0) return settings;
  const std::string content = TRY(ReadFile(settings.path_, kMostBytes));
  try {
    TRY(Collect(toml::parse(content), "", settings.path_, settings.values_));
  } catch (const toml::parse_error& error) {
    return Error(Code::kInvalidArgument, "{}: line {}: {}", settings.path_,
                 error.source().begin.line, error.description());
  }
  return settings;
}

std::optional<SettingValue> Settings::Find(const std::string& verb, const std::string& key) const {
  std::string variable = "LAMINA_" + key;
  std::transform(variable.begin(), variable.end(), variable.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (const char* text = std::getenv(variable.c_str()); text && *text) {
    return SettingValue{text, variable};
  }
  for (const std::string& name : {verb + "." + key, key}) {
    const auto found = values_.find(name);
    if (found != values_.end()) return SettingValue{found->second, path_ + ": " + name};
  }
  return std::nullopt;
}

Result<> Settings::CheckKeys(const std::map<std::string, std::vector<std::string>>& keys) const {
  const auto has = [](const std::vector<std::string>& list, const std::string& key) {
    return std::find(list.begin(), list.end(), key) != list.end();
  };
  for (const auto& [name, value] : values_) {
    const auto dot = name.find('.');
    bool is_known = false;
    if (dot == std::string::npos) {
      for (const auto& [verb, known] : keys) is_known |= has(known, name);
    } else {
      const std::string table = name.substr(0, dot);
      const auto verb = keys.find(table);
      is_known = verb != keys.end() && has(verb->second, name.substr(dot + 1));
      for (const char* foreign : kForeignTables) is_known |= table == foreign;
    }
    if (!is_known) {
      return Error(Code::kInvalidArgument, "{}: {} is not a setting; lamina help names them", path_,
                   name);
    }
  }
  return {};
}

}  // namespace lamina::cli
