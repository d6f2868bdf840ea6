// What the drafters that look tokens up in the text have in common: how sure they are.
#pragma once

#include <span>

namespace lamina::engine {

/// The class of a token that followed an earlier occurrence of the text's last n_matched (>= 1)
/// tokens. `share`: the part of all continuations of those occurrences that it makes up, in (0, 1].
int LookupClass(int n_matched, double share);

/// By class: guesses, which measurements soon outweigh.
std::span<const float> LookupPriors();

}  // namespace lamina::engine
