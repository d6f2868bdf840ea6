// Makers of the verbs, one per file in verbs/.
#pragma once

#include <memory>

#include "cli/command.h"

namespace lamina::cli {

std::unique_ptr<Command> MakeBench();
std::unique_ptr<Command> MakeCache();
std::unique_ptr<Command> MakeCompletion();
std::unique_ptr<Command> MakeCopy();
std::unique_ptr<Command> MakeDetokenize();
std::unique_ptr<Command> MakeDoctor();
std::unique_ptr<Command> MakeHelp();
std::unique_ptr<Command> MakeImport();
std::unique_ptr<Command> MakeList();
std::unique_ptr<Command> MakeLogits();
std::unique_ptr<Command> MakePull();
std::unique_ptr<Command> MakeRemove();
std::unique_ptr<Command> MakeRun();
std::unique_ptr<Command> MakeShow();
std::unique_ptr<Command> MakeTokenize();
std::unique_ptr<Command> MakeVersion();

}  // namespace lamina::cli
