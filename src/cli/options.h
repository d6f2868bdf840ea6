// Options of a verb: from the command line, else the environment, else the file, else the default.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/settings.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace lamina::cli {

/// Defines options over CLI11, so that numbers are checked strictly and errors name the field.
/// `names`: "-t,--threads"; the long name is also the key in the file and, as LAMINA_THREADS, in
/// the environment. Values are written to the pointers during parsing; they must outlive it.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  void Argument(const char* name, std::string* value, const char* help);
  /// One of these words.
  void Choice(const char* name, std::string* value, const std::vector<std::string>& words,
              const char* help);
  void OptionalArgument(const char* name, std::string* value, const char* help);
  /// All arguments that are left.
  void Arguments(const char* name, std::vector<std::string>* values, const char* help);

  void Flag(const char* names, bool* value, const char* help);
  void Text(const char* names, std::string* value, const char* help, const char* type = "TEXT");
  /// A text that is one of some words.
  void TextOf(const char* names, std::string* value, std::vector<std::string> words,
              const char* help);
  void RequiredText(const char* names, std::string* value, const char* help, const char* type);
  /// May be given several times.
  void Texts(const char* names, std::vector<std::string>* values, const char* help);
  /// A number in f32's range.
  void Number(const char* names, float* value, const char* help);
  /// A whole number from least to most.
  void Number(const char* names, int* value, int least, int most, const char* help);
  void Number(const char* names, int64_t* value, int64_t least, int64_t most, const char* help);
  void Number(const char* names, std::optional<uint64_t>* value, const char* help);

  /// Fills in what the command line did not give. Errors name where the value came from.
  Result<> Apply(const Settings& settings, const std::string& verb);

  /// Keys as in the file: "max_tokens".
  std::vector<std::string> Keys() const;

 private:
  using Parse = std::function<void(const std::string&)>;  ///< Throws CLI::ValidationError.
  struct Setting {
    std::string key;
    CLI::Option* option;
    Parse parse;
  };
  CLI::Option* Add(const char* names, Parse parse, const char* help, const char* type);

  CLI::App& app_;
  std::vector<Setting> settings_;
};

}  // namespace lamina::cli
