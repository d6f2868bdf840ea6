// Ctrl-C as an event.
#pragma once

#include <functional>

namespace lamina::cli {

/// While one lives, the first SIGINT calls a function on a thread of its own, where it may take
/// locks; a second one ends the process as SIGINT does by default. Where SIGINT is ignored (nohup,
/// background jobs) it stays so. One at a time.
class Interrupt {
 public:
  explicit Interrupt(std::function<void()> on_interrupt);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

 private:
  struct Impl;
  Impl* impl_;
};

}  // namespace lamina::cli
