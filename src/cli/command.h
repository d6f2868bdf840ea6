// What a verb is.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}

namespace lamina::cli {

class Options;

inline constexpr int kDone = 0, kFailed = 1, kUsage = 2;

/// What a verb may use besides its own options.
struct Context {
  const CLI::App& app;  ///< All verbs with their options: help and completions are made from it.
};

/// One verb of the command line, with the values of its options.
class Command {
 public:
  virtual ~Command() = default;
  /// Names the verb's arguments and flags.
  virtual void Define(Options& options) = 0;
  /// Does it; the exit code. Errors are printed by the caller, and the exit code is kFailed.
  virtual Result<int> Run(const Context& context) = 0;
};

/// A row of the table of verbs.
struct Verb {
  const char* name;
  const char* summary;
  std::unique_ptr<Command> (*make)();
};

/// Every verb, in the order of the help.
std::span<const Verb> Verbs();

/// What the program is, its verbs, and where options come from.
std::string GeneralHelp();

/// Prints one line of error on stderr and returns kUsage.
int UsageError(std::string_view message);

}  // namespace lamina::cli
