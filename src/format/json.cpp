#include "format/json.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "format/layout_checks.h"

namespace lamina::format {
namespace {

// Brackets outside strings; whether they match is left to the parser.
Result<> CheckDepth(std::string_view text, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth) {
        return Error(Code::kInvalidArgument, "JSON nests deeper than {} levels at byte {}",
                     max_depth, i);
      }
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return {};
}

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text, int max_depth) {
  TRY(CheckDepth(text, max_depth));
  return GuardMemory([&]() -> Result<nlohmann::json> {
    try {
      return nlohmann::json::parse(text.begin(), text.end());
    } catch (const nlohmann::json::parse_error& error) {
      return Error(Code::kInvalidArgument, "JSON is malformed at byte {}", error.byte);
    } catch (const nlohmann::json::exception& error) {
      return Error(Code::kInvalidArgument, "JSON cannot be read: error {}", error.id);
    }
  });
}

Result<nlohmann::json> ReadJsonFile(const std::string& path, uint64_t max_bytes, int max_depth) {
  const std::string text = TRY(ReadFile(path, max_bytes));
  auto json = ParseJson(text, max_depth);
  if (!json) return Error(json.error().Prefixed(path));
  return json;
}

}  // namespace lamina::format
