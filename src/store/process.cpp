#include "store/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/descriptor.h"
#include "base/file.h"

namespace lamina::store {
namespace {

constexpr int kCannotExecute = 127;

// Between fork and exec only calls that are safe after a signal: other threads may hold locks.
[[noreturn]] void ExecuteChild(char* const* arguments, char* const* environment, int log, int null,
                               pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotExecute);  // it ended before the call
  setpgid(0, 0);
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execvpe(arguments[0], arguments, environment);
  _exit(kCannotExecute);
}

// For exec: null-terminated; valid as long as the texts.
std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> EnvironmentWith(const std::vector<std::string>& set) {
  std::vector<std::string> variables = set;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text(*variable);
    const std::string_view name = text.substr(0, text.find('='));
    const bool is_set = std::any_of(set.begin(), set.end(), [&](const std::string& other) {
      return std::string_view(other).substr(0, other.find('=')) == name;
    });
    if (!is_set) variables.emplace_back(text);
  }
  return variables;
}

}  // namespace

Result<int> RunProcess(const std::vector<std::string>& command, const std::vector<std::string>& set,
                       const std::string& log_path, FunctionRef<bool()> while_running) {
  Descriptor log(open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (log.get() < 0) return Error(ErrnoStatus(errno, "create", log_path));
  Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<std::string> variables = EnvironmentWith(set);
  const std::vector<char*> arguments = Pointers(command), environment = Pointers(variables);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return Error(ErrnoStatus(errno, "start", command[0]));
  if (child == 0) ExecuteChild(arguments.data(), environment.data(), log.get(), null.get(), parent);
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) return Error(ErrnoStatus(errno, "wait for", command[0]));
    if (ended == child) {
      if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
      if (WEXITSTATUS(status) == kCannotExecute) {
        return Error(Code::kNotFound,
                     "the program {} is not installed; it is needed for this source", command[0]);
      }
      return WEXITSTATUS(status);
    }
    if (!while_running()) {
      kill(-child, SIGKILL);
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return Error(Code::kCancelled, "cancelled");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace lamina::store
