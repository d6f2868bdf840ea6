// Ctrl-C as an event.
#pragma once

#include <functional>

namespace lamina::cli {

/// While one lives, the first SIGINT calls a function on a thread of its own, where it may take
/// locks; a second one does what SIGINT did before: ends the process, or nothing inside a
/// DisarmedInterrupt.
/// Where SIGINT is ignored (nohup, background jobs) it stays so. One at a time.
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

/// While one lives, SIGINT waits for the next Interrupt, which takes it at once. Unlike an ignored
/// one it is not inherited by programs that are started meanwhile.
class DisarmedInterrupt {
 public:
  DisarmedInterrupt();
  ~DisarmedInterrupt();
  DisarmedInterrupt(const DisarmedInterrupt&) = delete;
  DisarmedInterrupt& operator=(const DisarmedInterrupt&) = delete;
  void Forget();  ///< What came until now.

 private:
  struct Saved;
  Saved* saved_;
};

}  // namespace lamina::cli
