// What `bench --profile` shows: where a token's time goes.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/profile.h"

namespace lamina::cli {

/// A row per operation that took time: microseconds per token (the mean of the threads, so that
/// the rows add up to the whole), share, GB/s of weights and GMAC/s of all threads together, and
/// each thread's microseconds. "start+end" is what a thread's own clock misses of a step: waking
/// it, and the last wait. Prints to stdout.
void PrintProfile(const char* title, const model::Profile& profile);

/// {"tokens","us_per_token","operations":[{"name","us_per_token","share","gb_per_s","gmac_per_s",
/// "thread_us_per_token":[...]}]}
nlohmann::ordered_json ProfileJson(const model::Profile& profile);

}  // namespace lamina::cli
