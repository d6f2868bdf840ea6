#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/numbers.h"

namespace lamina::cli {
namespace {

// "--max-tokens" of "-n,--max-tokens".
std::string LongName(std::string_view names) { return std::string(names.substr(names.find("--"))); }

std::string KeyOf(std::string_view names) {
  std::string key = LongName(names).substr(2);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

// CLI11 takes errors of values as exceptions; they end in this file's callers of parse and Apply.
template <class T>
T OrThrow(Result<T> result) {
  if (!result) throw CLI::ValidationError(result.error().message());
  return *result;
}

}  // namespace

void Options::Argument(const char* name, std::string* value, const char* help) {
  app_.add_option(name, *value, help)->required();
}

void Options::Choice(const char* name, std::string* value, const std::vector<std::string>& words,
                     const char* help) {
  CLI::Option* option = app_.add_option(name, *value, help)->required();
  std::string type;
  for (const std::string& word : words) type += (type.empty() ? "" : "|") + word;
  option->type_name(type)->check([words, type](const std::string& word) -> std::string {
    if (std::find(words.begin(), words.end(), word) != words.end()) return "";
    return fmt::format("{} is none of {}", word, type);
  });
}

void Options::OptionalArgument(const char* name, std::string* value, const char* help) {
  app_.add_option(name, *value, help);
}

void Options::Arguments(const char* name, std::vector<std::string>* values, const char* help) {
  app_.add_option(name, *values, help);
}

CLI::Option* Options::Add(const char* names, Parse parse, const char* help, const char* type) {
  CLI::Option* option = app_.add_option_function<std::string>(names, parse, help);
  option->type_name(type)->take_last();
  settings_.push_back({KeyOf(names), option, std::move(parse)});
  return option;
}

void Options::Flag(const char* names, bool* value, const char* help) {
  CLI::Option* option = app_.add_flag_function(
      names, [value](int64_t) { *value = true; }, help);
  // From the environment or the file a flag comes as a word.
  const std::string key = KeyOf(names);
  settings_.push_back(
      {key, option, [=](const std::string& text) { *value = OrThrow(ParseBool(key, text)); }});
}

void Options::Text(const char* names, std::string* value, const char* help, const char* type) {
  Add(
      names, [value](const std::string& text) { *value = text; }, help, type);
}

void Options::TextOf(const char* names, std::string* value, std::vector<std::string> words,
                     const char* help) {
  const auto parse = [=, key = KeyOf(names)](const std::string& text) {
    if (std::find(words.begin(), words.end(), text) == words.end()) {
      throw CLI::ValidationError(
          fmt::format("{} is \"{}\"; it must be one of {}", key, text, fmt::join(words, ", ")));
    }
    *value = text;
  };
  Add(names, parse, help, "TYPE");
}

void Options::RequiredText(const char* names, std::string* value, const char* help,
                           const char* type) {
  Add(
      names, [value](const std::string& text) { *value = text; }, help, type)
      ->required();
}

void Options::Texts(const char* names, std::vector<std::string>* values, const char* help) {
  app_.add_option(names, *values, help)->type_name("TEXT")->allow_extra_args(false);
}

void Options::Number(const char* names, float* value, const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) { *value = OrThrow(ParseReal(key, text)); },
      help, "NUMBER");
}

void Options::Number(const char* names, int* value, int least, int most, const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) {
        *value = static_cast<int>(OrThrow(ParseWhole(key, text, least, most)));
      },
      help, "N");
}

void Options::Number(const char* names, int64_t* value, int64_t least, int64_t most,
                     const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) {
        *value = OrThrow(ParseWhole(key, text, least, most));
      },
      help, "N");
}

void Options::Number(const char* names, std::optional<uint64_t>* value, const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) {
        *value = OrThrow(ParseUnsigned(key, text));
      },
      help, "N");
}

Result<> Options::Apply(const Settings& settings, const std::string& verb) {
  for (const Setting& setting : settings_) {
    if (setting.option->count() > 0) continue;
    const auto found = settings.Find(verb, setting.key);
    if (!found) continue;
    try {
      setting.parse(found->text);
    } catch (const CLI::ParseError& error) {
      return Error(Code::kInvalidArgument, "{}: {}", found->origin, error.what());
    }
  }
  return {};
}

std::vector<std::string> Options::Keys() const {
  std::vector<std::string> keys;
  for (const Setting& setting : settings_) keys.push_back(setting.key);
  return keys;
}

}  // namespace lamina::cli
