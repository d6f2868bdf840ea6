// Running another program, without a shell.
#pragma once

#include <string>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"

namespace lamina::store {

/// Runs command[0], found in PATH, with this process's environment and the "NAME=VALUE"s of `set`,
/// with its output and errors in the file `log_path`, no input, and killed if this process ends
/// first. `while_running` is called about ten times a second; false kills it and ends with
/// kCancelled. Returns its exit status, 128 + n for a signal n. Errors: kNotFound: no such program.
Result<int> RunProcess(const std::vector<std::string>& command, const std::vector<std::string>& set,
                       const std::string& log_path, FunctionRef<bool()> while_running);

}  // namespace lamina::store
