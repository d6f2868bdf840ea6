#include "cli/interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

namespace lamina::cli {
namespace {

constexpr char kSignal = 's', kQuit = 'q';

// A signal handler may only write to a pipe and read these.
std::atomic<int> pipe_to_watcher{-1};
std::atomic<int> n_signals{0};
struct sigaction before_interrupt {};

std::atomic<bool> is_waiting{false};

void OnDisarmed(int) { is_waiting = true; }

void OnSignal(int) {
  const int saved = errno;
  if (n_signals.fetch_add(1) > 0) {
    sigaction(SIGINT, &before_interrupt, nullptr);
    raise(SIGINT);
    errno = saved;
    return;
  }
  const ssize_t n = write(pipe_to_watcher, &kSignal, 1);
  (void)n;
  errno = saved;
}

}  // namespace

struct Interrupt::Impl {
  std::function<void()> on_interrupt;
  int fds[2] = {-1, -1};
  struct sigaction saved {};
  std::thread watcher;

  void Watch() {
    char byte = 0;
    for (;;) {
      const ssize_t n = read(fds[0], &byte, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n != 1 || byte == kQuit) return;
      on_interrupt();
    }
  }
};

Interrupt::Interrupt(std::function<void()> on_interrupt) : impl_(new Impl) {
  impl_->on_interrupt = std::move(on_interrupt);
  sigaction(SIGINT, nullptr, &impl_->saved);
  if (impl_->saved.sa_handler == SIG_IGN || pipe2(impl_->fds, O_CLOEXEC) != 0) return;
  before_interrupt = impl_->saved;
  pipe_to_watcher = impl_->fds[1];
  n_signals = 0;
  impl_->watcher = std::thread([this] { impl_->Watch(); });
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  if (is_waiting.exchange(false)) raise(SIGINT);
}

Interrupt::~Interrupt() {
  if (impl_->watcher.joinable()) {
    sigaction(SIGINT, &impl_->saved, nullptr);
    const ssize_t n = write(impl_->fds[1], &kQuit, 1);
    (void)n;
    impl_->watcher.join();
    close(impl_->fds[0]);
    close(impl_->fds[1]);
  }
  delete impl_;
}

struct DisarmedInterrupt::Saved {
  struct sigaction action {};
};

DisarmedInterrupt::DisarmedInterrupt() : saved_(new Saved) {
  sigaction(SIGINT, nullptr, &saved_->action);
  if (saved_->action.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = OnDisarmed;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
}

void DisarmedInterrupt::Forget() { is_waiting = false; }

DisarmedInterrupt::~DisarmedInterrupt() {
  Forget();
  sigaction(SIGINT, &saved_->action, nullptr);
  delete saved_;
}

}  // namespace lamina::cli
