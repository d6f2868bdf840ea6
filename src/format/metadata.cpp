#include "format/metadata.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "format/quote.h"

namespace lamina::format {
namespace {

constexpr uint64_t kMaxInt64 = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

std::string_view TypeName(const Value& value) {
  static constexpr std::string_view kNames[] = {"a bool",
                                                "an unsigned integer",
                                                "a signed integer",
                                                "a number with a fraction",
                                                "a string",
                                                "an array of bools",
                                                "an array of unsigned integers",
                                                "an array of signed integers",
                                                "an array of numbers with a fraction",
                                                "an array of strings"};
  static_assert(std::size(kNames) == std::variant_size_v<Value>);
  return kNames[value.index()];
}

tl::unexpected<Status> Missing(std::string_view key) {
  return Error(Code::kNotFound, "the key {} is missing", Quote(key));
}

tl::unexpected<Status> WrongType(std::string_view key, const Value& value,
                                 std::string_view wanted) {
  return Error(Code::kInvalidArgument, "the key {} is {}, not {}", Quote(key), TypeName(value),
               wanted);
}

template <class T>
Result<T> Or(Result<T> found, T fallback) {
  if (!found && found.error().code() == Code::kNotFound) return fallback;
  return found;
}

}  // namespace

const Value* Metadata::Find(std::string_view key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

void Metadata::Set(std::string key, Value value) {
  entries_.insert_or_assign(std::move(key), std::move(value));
}

Result<uint64_t> Metadata::GetUint(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* number = std::get_if<uint64_t>(value)) return *number;
  if (const auto* number = std::get_if<int64_t>(value)) {
    if (*number >= 0) return static_cast<uint64_t>(*number);
    return Error(Code::kInvalidArgument, "the key {} is {}, which is negative", Quote(key),
                 *number);
  }
  return WrongType(key, *value, "an unsigned integer");
}

Result<int64_t> Metadata::GetInt(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* number = std::get_if<int64_t>(value)) return *number;
  if (const auto* number = std::get_if<uint64_t>(value)) {
    if (*number <= kMaxInt64) return static_cast<int64_t>(*number);
    return Error(Code::kInvalidArgument, "the key {} is {}, which is too large", Quote(key),
                 *number);
  }
  return WrongType(key, *value, "an integer");
}

Result<double> Metadata::GetFloat(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* number = std::get_if<uint64_t>(value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<int64_t>(value)) return static_cast<double>(*number);
  return WrongType(key, *value, "a number");
}

Result<bool> Metadata::GetBool(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  return WrongType(key, *value, "a bool");
}

Result<std::string> Metadata::GetString(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  return WrongType(key, *value, "a string");
}

Result<const std::vector<std::string>*> Metadata::GetStrings(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* texts = std::get_if<std::vector<std::string>>(value)) return texts;
  return WrongType(key, *value, "an array of strings");
}

Result<std::vector<int64_t>> Metadata::GetInts(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(value)) return *numbers;
  if (const auto* flags = std::get_if<std::vector<bool>>(value)) {
    return std::vector<int64_t>(flags->begin(), flags->end());
  }
  if (const auto* numbers = std::get_if<std::vector<uint64_t>>(value)) {
    if (std::any_of(numbers->begin(), numbers->end(), [](uint64_t n) { return n > kMaxInt64; })) {
      return Error(Code::kInvalidArgument, "the key {} holds a number that is too large",
                   Quote(key));
    }
    return std::vector<int64_t>(numbers->begin(), numbers->end());
  }
  return WrongType(key, *value, "an array of integers");
}

Result<std::vector<double>> Metadata::GetFloats(std::string_view key) const {
  const Value* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* numbers = std::get_if<std::vector<double>>(value)) return *numbers;
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(value)) {
    return std::vector<double>(numbers->begin(), numbers->end());
  }
  if (const auto* numbers = std::get_if<std::vector<uint64_t>>(value)) {
    return std::vector<double>(numbers->begin(), numbers->end());
  }
  return WrongType(key, *value, "an array of numbers");
}

Result<uint64_t> Metadata::GetUintOr(std::string_view key, uint64_t fallback) const {
  return Or(GetUint(key), fallback);
}
Result<double> Metadata::GetFloatOr(std::string_view key, double fallback) const {
  return Or(GetFloat(key), fallback);
}
Result<bool> Metadata::GetBoolOr(std::string_view key, bool fallback) const {
  return Or(GetBool(key), fallback);
}
Result<std::string> Metadata::GetStringOr(std::string_view key, std::string fallback) const {
  return Or(GetString(key), std::move(fallback));
}

}  // namespace lamina::format
