// What the verbs of the library share.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/json_output.h"
#include "store/library.h"

namespace lamina::cli {

/// The library of this user. Errors: neither XDG_DATA_HOME nor HOME is set.
Result<store::Library> OpenLibrary();

/// A model as list, show, pull, import and cp print it.
Json ModelAsJson(const store::ModelInfo& model);

/// Prints a model that was installed: one JSON object, or one line.
void PrintInstalled(const store::ModelInfo& model, bool json);

/// "2026-01-31".
std::string DateOf(int64_t unix_s);

}  // namespace lamina::cli
