// JSON on standard output.
#pragma once

#include <nlohmann/json.hpp>

namespace lamina::cli {

/// Keys stay in the order in which they are set. Include only from .cpp files.
using Json = nlohmann::ordered_json;

/// One line; bytes that are not UTF-8 become U+FFFD.
inline void PrintJson(const Json& json) {
  const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

}  // namespace lamina::cli
