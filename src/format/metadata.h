// Key-value metadata of a GGUF file, as typed values that were checked when they were read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace lamina::format {

/// One value. Integers of every width are widened; strings and arrays are copies, bounded by the
/// file. An array has one element type; arrays of arrays are refused by the reader.
using Value = std::variant<bool, uint64_t, int64_t, double, std::string, std::vector<bool>,
                           std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>,
                           std::vector<std::string>>;

/// Keys are unique. Getters name the key in their errors: kNotFound if it is absent,
/// kInvalidArgument if its type does not fit or the number does not.
class Metadata {
 public:
  const Value* Find(std::string_view key) const;
  void Set(std::string key, Value value);
  const std::map<std::string, Value, std::less<>>& entries() const { return entries_; }

  Result<uint64_t> GetUint(std::string_view key) const;
  Result<int64_t> GetInt(std::string_view key) const;
  Result<double> GetFloat(std::string_view key) const;  ///< Integers widen.
  Result<bool> GetBool(std::string_view key) const;
  Result<std::string> GetString(std::string_view key) const;
  Result<const std::vector<std::string>*> GetStrings(std::string_view key) const;
  Result<std::vector<int64_t>> GetInts(std::string_view key) const;   ///< Unsigned and bool narrow.
  Result<std::vector<double>> GetFloats(std::string_view key) const;  ///< Integers widen.

  /// The value, or `fallback` where the key is absent; a wrong type still is an error.
  Result<uint64_t> GetUintOr(std::string_view key, uint64_t fallback) const;
  Result<double> GetFloatOr(std::string_view key, double fallback) const;
  Result<bool> GetBoolOr(std::string_view key, bool fallback) const;
  Result<std::string> GetStringOr(std::string_view key, std::string fallback) const;

 private:
  std::map<std::string, Value, std::less<>> entries_;
};

}  // namespace lamina::format
