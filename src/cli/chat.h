// The conversation in a terminal.
#pragma once

#include <string>
#include <vector>

#include "cli/answer.h"
#include "cli/line_editor.h"
#include "cli/prompt.h"

namespace lamina::cli {

struct ChatOptions {
  std::string system;
  engine::GenerateOptions generate;
  bool stats = false;
  bool keep_history = true;  ///< Inputs in $XDG_STATE_HOME/lamina/history.
};

/// Reads inputs and commands (/help) from a terminal until /exit or Ctrl-D; Ctrl-C stops an answer.
class Chat {
 public:
  Chat(engine::Engine& engine, const PromptMaker& prompts, ChatOptions options);
  Result<int> Run();

 private:
  /// One row of the table of commands.
  struct ChatCommand {
    const char* name;
    const char* help;
    Result<bool> (Chat::*run)(const std::string& argument);  ///< False ends the chat.
  };
  static const ChatCommand kCommands[];

  Result<bool> RunCommand(const std::string& input);
  Result<bool> Help(const std::string&);
  Result<bool> Clear(const std::string&);
  Result<bool> System(const std::string& text);
  Result<bool> Set(const std::string& argument);
  Result<bool> Stats(const std::string&);
  Result<bool> Retry(const std::string&);
  Result<bool> Exit(const std::string&);

  Result<> AnswerUser(const std::string& input);
  /// The prompt of the conversation; oldest exchanges are dropped until it leaves room to answer.
  Result<Prompt> FittingPrompt();
  void SaveHistory();

  engine::Engine& engine_;
  const PromptMaker& prompts_;
  ChatOptions options_;
  const bool color_;
  std::vector<text::ChatMessage> messages_;  ///< Without the system message.
  LineEditor editor_;
};

}  // namespace lamina::cli
