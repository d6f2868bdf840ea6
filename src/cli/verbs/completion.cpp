#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/options.h"
#include "cli/verbs.h"

namespace lamina::cli {
namespace {

// What a shell needs to know of a verb.
struct VerbWords {
  std::string name, summary;
  std::vector<std::pair<std::string, std::string>> flags;  // Name and help.
  bool takes_model = false;                                // Else files complete.
  std::string choices;                                     // Words that its argument may be.
};

std::string Names(const std::vector<VerbWords>& verbs) {
  std::string names;
  for (const auto& verb : verbs) names += (names.empty() ? "" : " ") + verb.name;
  return names;
}

std::vector<VerbWords> CollectWords(const CLI::App& app) {
  std::vector<VerbWords> verbs;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    VerbWords words{sub->get_name(), sub->get_description(), {}, false, ""};
    for (const CLI::Option* option : sub->get_options()) {
      for (const auto& name : option->get_lnames()) {
        words.flags.emplace_back("--" + name, option->get_description());
      }
      for (const auto& name : option->get_snames()) {
        words.flags.emplace_back("-" + name, option->get_description());
      }
      const std::string argument = option->get_name(true);
      if (const std::string type = option->get_type_name(); type.find('|') != std::string::npos) {
        words.choices = type;
        std::replace(words.choices.begin(), words.choices.end(), '|', ' ');
      }
      words.takes_model |=
          argument == "MODEL" || argument == "FROM" || (argument == "NAME" && words.name == "rm");
    }
    verbs.push_back(std::move(words));
  }
  for (VerbWords& verb : verbs) {
    if (verb.name == "help") verb.choices = Names(verbs);
  }
  return verbs;
}

// Inside single quotes.
std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Bash breaks words at colons, which names of models have: the line is looked at, and what of the
// name is already there is left out. Where nothing fits, bash completes files by its own rules.
std::string Bash(const std::vector<VerbWords>& verbs) {
  std::string out =
      "_lamina() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT}\n"
      "  local whole=${line##*[[:space:]]} flags='' words='' typed='' name\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n";
  out += fmt::format("    COMPREPLY=($(compgen -W '{} --help --version' -- \"$word\"))\n",
                     Names(verbs));
  out += "    return\n  fi\n  case ${COMP_WORDS[1]} in\n";
  for (const auto& verb : verbs) {
    std::string flags;
    for (const auto& [flag, help] : verb.flags) flags += (flags.empty() ? "" : " ") + flag;
    out += fmt::format("    {}) flags='{}'", verb.name, flags);
    if (!verb.choices.empty()) out += fmt::format(" words='{}'", verb.choices);
    if (verb.takes_model) out += " words=$(lamina list --quiet 2>/dev/null)";
    out += " ;;\n";
  }
  out +=
      "  esac\n"
      "  if [[ $word == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
      "    return\n"
      "  fi\n"
      "  [[ $COMP_WORDBREAKS == *:* && $whole == *:* ]] && typed=${whole%\"${whole##*:}\"}\n"
      "  for name in $(compgen -W \"$words\" -- \"$whole\"); do\n"
      "    COMPREPLY+=(\"${name#\"$typed\"}\")\n"
      "  done\n"
      "}\n"
      "complete -o bashdefault -o default -F _lamina lamina\n";
  return out;
}

std::string Zsh(const std::vector<VerbWords>& verbs) {
  std::string out = "#compdef lamina\n_lamina() {\n  local -a verbs flags models\n  verbs=(\n";
  const auto entry = [](std::string name, const std::string& help) {
    for (size_t i = 0; (i = name.find(':', i)) != std::string::npos; i += 2) name.insert(i, "\\");
    return "    " + Quoted(name + ":" + help) + "\n";
  };
  for (const auto& verb : verbs) out += entry(verb.name, verb.summary);
  out +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n    _describe verb verbs\n    return\n  fi\n"
      "  case $words[2] in\n";
  for (const auto& verb : verbs) {
    out += "    " + verb.name + ")\n    flags=(\n";
    for (const auto& [flag, help] : verb.flags) out += "  " + entry(flag, help);
    out += "    )\n";
    if (!verb.choices.empty()) out += "    models=(" + verb.choices + ")\n";
    if (verb.takes_model) {
      out += "    models=(${(f)\"$(lamina list --quiet 2>/dev/null)\"})\n";
    }
    out += "    ;;\n";
  }
  out +=
      "  esac\n"
      "  if [[ $words[CURRENT] == -* ]]; then\n    _describe flag flags\n"
      "  else\n    compadd -a models\n    _files\n  fi\n"
      "}\n"
      "if [ \"$funcstack[1]\" = _lamina ]; then _lamina \"$@\"; else compdef _lamina lamina; fi\n";
  return out;
}

std::string Fish(const std::vector<VerbWords>& verbs) {
  std::string out =
      "function __lamina_needs_verb\n  test (count (commandline -opc)) -eq 1\nend\n"
      "function __lamina_verb\n  set -l words (commandline -opc)\n"
      "  test (count $words) -gt 1; and contains -- $words[2] $argv\nend\n";
  for (const auto& verb : verbs) {
    out += fmt::format("complete -c lamina -n __lamina_needs_verb -f -a {} -d {}\n", verb.name,
                       Quoted(verb.summary));
    for (const auto& [flag, help] : verb.flags) {
      const bool is_long = flag.rfind("--", 0) == 0;
      out += fmt::format("complete -c lamina -n '__lamina_verb {}' {} {} -d {}\n", verb.name,
                         is_long ? "-l" : "-s", flag.substr(is_long ? 2 : 1), Quoted(help));
    }
    if (!verb.choices.empty()) {
      out += fmt::format("complete -c lamina -n '__lamina_verb {}' -f -a {}\n", verb.name,
                         Quoted(verb.choices));
    }
    if (verb.takes_model) {
      out += fmt::format(
          "complete -c lamina -n '__lamina_verb {}' -a '(lamina list --quiet 2>/dev/null)'\n",
          verb.name);
    }
  }
  return out;
}

class Completion : public Command {
 public:
  void Define(Options& options) override {
    options.Choice("SHELL", &shell_, {"bash", "zsh", "fish"}, "Whose completions to print");
  }

  Result<int> Run(const Context& context) override {
    const auto verbs = CollectWords(context.app);
    std::string script;
    if (shell_ == "bash") {
      script = Bash(verbs);
    } else if (shell_ == "zsh") {
      script = Zsh(verbs);
    } else {
      script = Fish(verbs);
    }
    fmt::print("{}", script);
    return kDone;
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> MakeCompletion() { return std::make_unique<Completion>(); }

}  // namespace lamina::cli
