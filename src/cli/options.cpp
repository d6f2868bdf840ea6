#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace lamina::cli {
namespace {

// "--max-tokens" of "-n,--max-tokens".
std::string LongName(std::string_view names) { return std::string(names.substr(names.find("--"))); }

std::string KeyOf(std::string_view names) {
  std::string key = LongName(names).substr(2);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

template <class T>
T ParseWhole(const std::string& key, const std::string& text, T least, T most) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::invalid_argument || stop != end) {
    throw CLI::ValidationError(fmt::format("{} is \"{}\"; it must be a whole number", key, text));
  }
  if (error != std::errc() || value < least || value > most) {
    throw CLI::ValidationError(
        most == std::numeric_limits<T>::max()
            ? fmt::format("{} is {}; it must be at least {}", key, text, least)
            : fmt::format("{} is {}; it must be from {} to {}", key, text, least, most));
  }
  return value;
}

double ParseReal(const std::string& key, const std::string& text, double least, double most) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::invalid_argument || stop != end) {
    throw CLI::ValidationError(fmt::format("{} is \"{}\"; it must be a number", key, text));
  }
  if (error != std::errc() || !(value >= least && value <= most)) {
    throw CLI::ValidationError(
        fmt::format("{} is {}; it must be from {} to {}", key, text, least, most));
  }
  return value;
}

bool ParseBool(const std::string& key, const std::string& text) {
  if (text == "true" || text == "1" || text == "on" || text == "yes") return true;
  if (text == "false" || text == "0" || text == "off" || text == "no") return false;
  throw CLI::ValidationError(fmt::format("{} is \"{}\"; it must be true or false", key, text));
}

}  // namespace

void Options::Argument(const char* name, std::string* value, const char* help) {
  app_.add_option(name, *value, help)->required();
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
  settings_.push_back({key, option, [=](const std::string& text) {
                         *value = ParseBool(key, text);
                       }});
}

void Options::Text(const char* names, std::string* value, const char* help, const char* type) {
  Add(names, [value](const std::string& text) { *value = text; }, help, type);
}

void Options::RequiredText(const char* names, std::string* value, const char* help,
                           const char* type) {
  Add(names, [value](const std::string& text) { *value = text; }, help, type)->required();
}

void Options::Texts(const char* names, std::vector<std::string>* values, const char* help) {
  app_.add_option(names, *values, help)->type_name("TEXT")->allow_extra_args(false);
}

void Options::Number(const char* names, float* value, double least, double most,
                     const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) {
        *value = static_cast<float>(ParseReal(key, text, least, most));
      },
      help, "NUMBER");
}

void Options::Number(const char* names, int* value, int64_t least, int64_t most,
                     const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) {
        *value = static_cast<int>(ParseWhole<int64_t>(key, text, least, most));
      },
      help, "N");
}

void Options::Number(const char* names, int64_t* value, int64_t least, int64_t most,
                     const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) {
        *value = ParseWhole<int64_t>(key, text, least, most);
      },
      help, "N");
}

void Options::Number(const char* names, uint64_t* value, const char* help) {
  Add(
      names,
      [=, key = KeyOf(names)](const std::string& text) {
        *value = ParseWhole<uint64_t>(key, text, 0, std::numeric_limits<uint64_t>::max());
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
