#include "cli/numbers.h"

#include <charconv>
#include <limits>

namespace lamina::cli {
namespace {

// kInvalidArgument where text is no number of this kind, kOutOfRange where it is too large.
template <class T>
Code Parse(std::string_view text, T& value) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::invalid_argument || stop != end) return Code::kInvalidArgument;
  return error == std::errc() ? Code::kOk : Code::kOutOfRange;
}

}  // namespace

Result<int64_t> ParseWhole(std::string_view field, std::string_view text, int64_t least,
                           int64_t most) {
  int64_t value = 0;
  const Code code = Parse(text, value);
  if (code == Code::kInvalidArgument) {
    return Error(Code::kInvalidArgument, "{} is \"{}\"; it must be a whole number", field, text);
  }
  if (code == Code::kOk && value >= least && value <= most) return value;
  if (most == std::numeric_limits<int64_t>::max()) {
    return Error(Code::kInvalidArgument, "{} is {}; it must be at least {}", field, text, least);
  }
  return Error(Code::kInvalidArgument, "{} is {}; it must be from {} to {}", field, text, least,
               most);
}

Result<uint64_t> ParseUnsigned(std::string_view field, std::string_view text) {
  uint64_t value = 0;
  if (Parse(text, value) == Code::kOk) return value;
  return Error(Code::kInvalidArgument, "{} is \"{}\"; it must be a whole number from 0 to {}",
               field, text, std::numeric_limits<uint64_t>::max());
}

Result<float> ParseReal(std::string_view field, std::string_view text) {
  float value = 0;
  const Code code = Parse(text, value);
  if (code == Code::kOk) return value;
  if (code == Code::kOutOfRange) {
    return Error(Code::kInvalidArgument, "{} is {}; that is beyond what a float holds", field,
                 text);
  }
  return Error(Code::kInvalidArgument, "{} is \"{}\"; it must be a number", field, text);
}

Result<bool> ParseBool(std::string_view field, std::string_view text) {
  for (const char* word : {"true", "1", "on", "yes"}) {
    if (text == word) return true;
  }
  for (const char* word : {"false", "0", "off", "no"}) {
    if (text == word) return false;
  }
  return Error(Code::kInvalidArgument, "{} is \"{}\"; it must be true or false", field, text);
}

}  // namespace lamina::cli
