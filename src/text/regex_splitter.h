// Splitting at matches of patterns that are known only when a tokenizer.json is read.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "text/splitter.h"

namespace lamina::text {

/// What becomes of the matches, as tokenizer.json names it.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Splits at every occurrence of a text. `invert`: what matches and what does not change roles.
std::unique_ptr<const Splitter> MakeLiteralSplitter(std::string literal, SplitBehavior behavior,
                                                    bool invert);

/// Splits at matches of a regular expression, interpreted by PCRE2 with bounds on steps, depth and
/// memory; where a text exceeds them, the rest of it is one piece. Errors: kInvalidArgument with
/// the place in a pattern that does not compile.
Result<std::unique_ptr<const Splitter>> MakeRegexSplitter(const std::string& pattern,
                                                          SplitBehavior behavior, bool invert);

/// Splits numbers (\p{N}) from the rest: every digit alone, or runs of them.
std::unique_ptr<const Splitter> MakeDigitSplitter(bool individual_digits);

}  // namespace lamina::text
