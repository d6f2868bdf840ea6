// Settings from the environment and from lamina.toml.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lamina::cli {

struct SettingValue {
  std::string text;
  std::string origin;  ///< "LAMINA_THREADS" or "PATH: run.threads", for errors.
};

/// The file is $XDG_CONFIG_HOME/lamina/lamina.toml, else ~/.config/lamina/lamina.toml; none is no
/// error. `key = value` at its top holds for every verb, in a table `[verb]` for one.
class Settings {
 public:
  /// Errors: kInvalidArgument with the line of a syntax error.
  static Result<Settings> Read();

  /// The environment's LAMINA_KEY, else the file's [verb] key, else its top-level key.
  std::optional<SettingValue> Find(const std::string& verb, const std::string& key) const;

  /// Names the first key of the file that no verb knows. `keys`: per verb, those it has.
  Result<> CheckKeys(const std::map<std::string, std::vector<std::string>>& keys) const;

 private:
  std::string path_;
  std::map<std::string, std::string> values_;  ///< By "key" or "table.key".
};

}  // namespace lamina::cli
