// JSON from untrusted files, bounded before the general parser builds anything.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lamina::format {

inline constexpr uint64_t kMaxConfigBytes = 1 << 20;
inline constexpr int kMaxJsonDepth = 64;

/// Parses a text whose arrays and objects nest at most `max_depth` deep. Memory is up to about 40
/// bytes per byte of text, so the caller bounds its length. Errors: kInvalidArgument with the
/// place, never an exception. Include <nlohmann/json.hpp> to call it.
Result<nlohmann::json> ParseJson(std::string_view text, int max_depth = kMaxJsonDepth);

/// ReadFile and ParseJson; errors name the path.
Result<nlohmann::json> ReadJsonFile(const std::string& path, uint64_t max_bytes,
                                    int max_depth = kMaxJsonDepth);

}  // namespace lamina::format
