// Numbers that a user wrote, read strictly; errors name the field.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace lamina::cli {

/// A whole number from least to most. kInvalidArgument.
Result<int64_t> ParseWhole(std::string_view field, std::string_view text, int64_t least,
                           int64_t most);

/// A whole number that is not negative. kInvalidArgument.
Result<uint64_t> ParseUnsigned(std::string_view field, std::string_view text);

/// A number in f32's range; "nan" and "inf" are read, ranges are checked where they are known.
/// kInvalidArgument.
Result<float> ParseReal(std::string_view field, std::string_view text);

/// true, false, 1, 0, on, off, yes, no. kInvalidArgument.
Result<bool> ParseBool(std::string_view field, std::string_view text);

}  // namespace lamina::cli
