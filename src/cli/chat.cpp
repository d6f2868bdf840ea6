#include "cli/chat.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/sampler_fields.h"
#include "cli/terminal.h"
#include "cli/think_dimmer.h"

namespace lamina::cli {
namespace {

constexpr uint64_t kMostHistoryBytes = 16 << 20;

std::string StateFolder() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state) {
    return std::string(state) + "/lamina";
  }
  const char* home = std::getenv("HOME");
  return home ? std::string(home) + "/.local/state/lamina" : "";
}

History LoadHistory(bool keep) {
  const std::string folder = StateFolder();
  if (!keep || folder.empty()) return {};
  const auto text = ReadFile(folder + "/history", kMostHistoryBytes);
  return text ? History::Parse(*text) : History();
}

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\n") + 1 - begin);
}

}  // namespace

const Chat::ChatCommand Chat::kCommands[] = {
    {"/help", "this help", &Chat::Help},
    {"/clear", "forget the conversation", &Chat::Clear},
    {"/system", "TEXT: set the system message, and begin anew", &Chat::System},
    {"/set", "NAME VALUE: set a sampling option; without them, show all", &Chat::Set},
    {"/stats", "show speed and context use after each answer, or stop", &Chat::Stats},
    {"/retry", "answer the last message again", &Chat::Retry},
    {"/exit", "leave (also Ctrl-D)", &Chat::Exit},
};

Chat::Chat(engine::Engine& engine, const PromptMaker& prompts, ChatOptions options)
    : engine_(engine),
      prompts_(prompts),
      options_(std::move(options)),
      color_(HasColor(stdout)),
      editor_(LoadHistory(options_.keep_history)) {
  // One conversation, one scope: what was said is not prefilled again.
  options_.generate.cache_scope = 1;
}

Result<int> Chat::Run() {
  fmt::print(stderr, "{}\n", Dim("/help for commands, Ctrl-D to leave", HasColor(stderr)));
  // Whoever presses Ctrl-C twice, or just before the first token, means the answer.
  DisarmedInterrupt disarmed;
  const std::string prompt = ">>> ";
  for (;;) {
    std::string input;
    disarmed.Forget();
    const auto event = editor_.Read(prompt, input);
    if (event == LineEditor::Event::kEnd) break;
    if (event == LineEditor::Event::kInterrupt) {
      fmt::print(stderr, "{}\n", Dim("Ctrl-D or /exit leaves", HasColor(stderr)));
      continue;
    }
    const std::string trimmed = Trimmed(input);
    if (trimmed.empty()) continue;
    SaveHistory();  // now: the terminal may be closed in the middle of the answer
    if (trimmed.front() == '/') {
      const auto go_on = RunCommand(trimmed);
      if (!go_on) fmt::print(stderr, "{}\n", Printable(go_on.error().message()));
      if (go_on && !*go_on) break;
      continue;
    }
    if (const auto answered = AnswerUser(input); !answered) {
      fmt::print(stderr, "{}\n", Printable(answered.error().message()));
    }
  }
  return 0;
}

void Chat::SaveHistory() {
  const std::string folder = StateFolder();
  if (!options_.keep_history || folder.empty() || !MakeFolders(folder)) return;
  const std::string path = folder + "/history";
  // What was typed is nobody else's business.
  const mode_t saved = umask(0077);
  const auto written = WriteFileAtomically(path, editor_.history().Serialize());
  umask(saved);
  if (written) chmod(path.c_str(), 0600);
}

Result<Prompt> Chat::FittingPrompt() {
  const int64_t room = std::min<int64_t>(256, engine_.context() / 4);
  std::vector<text::ChatMessage> kept = messages_;
  for (;;) {
    std::vector<text::ChatMessage> messages;
    if (!options_.system.empty()) messages.push_back({"system", options_.system});
    messages.insert(messages.end(), kept.begin(), kept.end());
    Prompt prompt = TRY(prompts_.Make(messages));
    const auto n_tokens = std::ssize(prompt.ids);
    if (n_tokens + room > engine_.context() && kept.size() >= 3) {
      kept.erase(kept.begin(), kept.begin() + 2);
      continue;
    }
    // What can never be answered costs no memory of what was said before.
    if (n_tokens >= engine_.context()) return prompt;
    const size_t n_forgotten = (messages_.size() - kept.size()) / 2;
    messages_ = std::move(kept);
    if (n_forgotten > 0) {
      fmt::print(stderr, "{}\n",
                 Dim(n_forgotten == 1 ? "the context is full: the oldest exchange is forgotten"
                                      : fmt::format("the context is full: the oldest {} exchanges "
                                                    "are forgotten",
                                                    n_forgotten),
                     HasColor(stderr)));
    }
    return prompt;
  }
}

Result<> Chat::AnswerUser(const std::string& input) {
  messages_.push_back({"user", input});
  auto prompt = FittingPrompt();
  if (!prompt) {
    messages_.pop_back();
    return Error(prompt.error());
  }
  ThinkDimmer dimmer(color_, prompt->opens_thinking);
  const auto write = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  const auto answer =
      GenerateAnswer(engine_, std::move(prompt->ids), options_.generate,
                     [&](std::string_view text) { write(dimmer.Push(Shown(text))); });
  write(dimmer.Finish());
  if (!answer) {
    messages_.pop_back();
    return Error(answer.error());
  }
  write("\n");
  if (answer->reason == engine::FinishReason::kCancelled) {
    fmt::print(stderr, "{}\n", Dim("stopped", HasColor(stderr)));
  }
  SayIfContextIsFull(*answer, engine_.context());
  if (options_.stats) {
    fmt::print(stderr, "{}\n", Dim(Describe(answer->timings, engine_.context()), HasColor(stderr)));
  }
  const std::string opening = prompt->opens_thinking ? "<think>\n" : "";
  messages_.push_back({"assistant", opening + answer->text});
  return {};
}

Result<bool> Chat::RunCommand(const std::string& input) {
  const size_t space = std::min(input.find_first_of(" \n"), input.size());
  const std::string name = input.substr(0, space);
  for (const ChatCommand& command : kCommands) {
    if (name == command.name) return (this->*command.run)(Trimmed(input.substr(space)));
  }
  return Error(Code::kNotFound, "there is no command {}; /help lists them", name);
}

Result<bool> Chat::Help(const std::string&) {
  for (const ChatCommand& command : kCommands) {
    fmt::print("  {:<9} {}\n", command.name, command.help);
  }
  fmt::print(
      "  several lines: end a line with \\, or press Alt-Enter, or put \"\"\" before and after\n"
      "  Ctrl-C stops an answer; Up and Down go through earlier inputs\n");
  return true;
}

Result<bool> Chat::Clear(const std::string&) {
  messages_.clear();
  fmt::print("forgotten\n");
  return true;
}

Result<bool> Chat::System(const std::string& text) {
  if (!prompts_.has_template()) {
    return Error(Code::kFailedPrecondition, "without a chat template there is no system message");
  }
  options_.system = text;
  messages_.clear();
  fmt::print("{}\n", text.empty() ? "no system message" : "system message set");
  return true;
}

Result<bool> Chat::Set(const std::string& argument) {
  auto& sampler = options_.generate.sampler;
  if (argument.empty()) {
    for (const SamplerField& field : SamplerFields()) {
      fmt::print("  {:<20} {}\n", field.name, SamplerFieldText(sampler, field));
    }
    return true;
  }
  const size_t space = argument.find_first_of(" =");
  if (space == std::string::npos) {
    return Error(Code::kInvalidArgument, "/set needs a NAME and a VALUE");
  }
  engine::SamplerOptions changed = sampler;
  TRY(SetSamplerField(changed, argument.substr(0, space), Trimmed(argument.substr(space + 1))));
  TRY(engine::Validate(changed, engine_.model().spec().n_vocab));
  sampler = changed;
  return true;
}

Result<bool> Chat::Stats(const std::string&) {
  options_.stats = !options_.stats;
  fmt::print("stats {}\n", options_.stats ? "on" : "off");
  return true;
}

Result<bool> Chat::Retry(const std::string&) {
  if (messages_.size() < 2) return Error(Code::kFailedPrecondition, "there is no answer yet");
  const auto messages = messages_;
  messages_.pop_back();
  const std::string input = messages_.back().content;
  messages_.pop_back();
  // Another seed, or the answer would be the same.
  ++options_.generate.sampler.seed;
  const auto answered = AnswerUser(input);
  if (answered) return true;
  messages_ = messages;
  return Error(answered.error());
}

Result<bool> Chat::Exit(const std::string&) { return false; }

}  // namespace lamina::cli
