#include "cli/app.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/settings.h"
#include "cli/terminal.h"

namespace lamina::cli {
namespace {

constexpr const char* kFooter =
    "\nMODEL is a name of the library (lamina list), a path to a .gguf file, or a folder with\n"
    "config.json and safetensors. Options may also stand in the environment (LAMINA_THREADS=2)\n"
    "and in ~/.config/lamina/lamina.toml; the command line wins.";

// CLI11 writes several lines and its own exit codes; people get one line, scripts get 2.
int ParseFailure(const CLI::App& app, const CLI::ParseError& error) {
  const auto used = app.get_subcommands();
  const std::string verb = used.empty() ? "" : " " + used.front()->get_name();
  std::string message = error.what();
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return UsageError(fmt::format("{}\nTry: lamina{} --help", message, verb));
}

// A descriptor that the caller closed would be given to the next file opened, and output would go
// into a model. Opened the wrong way round, it fails as a closed one does.
void KeepStandardDescriptors() {
  for (const int fd : {0, 1, 2}) {
    if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

// What was printed must have arrived: a full disk is a failure.
int FinishOutput(int exit_code) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return exit_code;
  fmt::print(stderr, "lamina: cannot write standard output: {}\n", std::strerror(errno));
  return kFailed;
}

bool IsVerb(std::string_view name) {
  return std::any_of(Verbs().begin(), Verbs().end(),
                     [=](const Verb& verb) { return name == verb.name; });
}

int RunProgram(int argc, char** argv);

}  // namespace

std::string GeneralHelp() {
  std::string text =
      "Runs small language models, fast and privately, on this machine.\n\n"
      "Usage: lamina VERB [OPTIONS] ...\n\n";
  for (const Verb& verb : Verbs()) text += fmt::format("  {:<12} {}\n", verb.name, verb.summary);
  text += "\nlamina help VERB explains a verb.\n";
  return text + kFooter + "\n";
}

int UsageError(std::string_view message) {
  fmt::print(stderr, "lamina: {}\n", Printable(message));
  return kUsage;
}

int Main(int argc, char** argv) {
  KeepStandardDescriptors();
  try {
    return FinishOutput(RunProgram(argc, argv));
  } catch (const std::exception& error) {  // fmt::print throws where a stream cannot be written
    fmt::print(stderr, "lamina: {}\n", Printable(error.what()));
    return kFailed;
  }
}

namespace {

int RunProgram(int argc, char** argv) {
  CLI::App app("Runs small language models, fast and privately, on this machine.", "lamina");
  app.set_version_flag("--version", "lamina " LAMINA_VERSION);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.footer(kFooter);

  struct Entry {
    const Verb* verb;
    CLI::App* app;
    std::unique_ptr<Command> command;
    Options options;
  };
  std::vector<Entry> entries;
  std::map<std::string, std::vector<std::string>> keys;
  entries.reserve(Verbs().size());
  for (const Verb& verb : Verbs()) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.summary);
    entries.push_back({&verb, sub, verb.make(), Options(*sub)});
    entries.back().command->Define(entries.back().options);
    keys[verb.name] = entries.back().options.Keys();
  }
  if (argc < 2) {
    fmt::print(stderr, "{}", GeneralHelp());
    return kUsage;
  }
  if (argv[1][0] != '-' && !IsVerb(argv[1])) {
    return UsageError(fmt::format("there is no verb {}\nTry: lamina help", argv[1]));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto used = app.get_subcommands();
    fmt::print("{}", used.empty() ? GeneralHelp() : used.front()->help("lamina"));
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return kDone;
  } catch (const CLI::ParseError& error) {
    return ParseFailure(app, error);
  }

  const auto used = app.get_subcommands();
  // What has no settings, such as help, works beside a file that is broken.
  const bool has_settings = used.empty() || !keys[used.front()->get_name()].empty();
  const auto settings = has_settings ? Settings::Read() : Settings();
  if (!settings) return UsageError(settings.error().message());
  if (const auto known = settings->CheckKeys(keys); !known) {
    return UsageError(known.error().message());
  }
  for (Entry& entry : entries) {
    if (!entry.app->parsed()) continue;
    if (const auto applied = entry.options.Apply(*settings, entry.verb->name); !applied) {
      return UsageError(applied.error().message());
    }
    const auto exit_code = entry.command->Run({app});
    if (exit_code) return *exit_code;
    fmt::print(stderr, "lamina: {}\n", Printable(exit_code.error().message()));
    return kFailed;
  }
  return kUsage;
}

}  // namespace

}  // namespace lamina::cli
