#include "base/thread_pool.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lamina {
namespace {

// A barrier is crossed within a microsecond where every thread has a core to itself; waiting so
// long spins. Beside other busy processes a thread loses its core for a scheduler's slice, some
// milliseconds, and who waits for it spins on for a while: had it slept, the scheduler would soon
// put both threads on its free core. Nothing yields: threads that did, on Linux 6.18,
// kept a quarter of their decoding speed beside one busy process.
constexpr int kQuickSpins = 200;
constexpr int kSpinsPerClock = 50;
constexpr int64_t kLongSpinNs = 300'000;
// Two threads of a pool on one core take turns; the one that waits moves to another, so often.
constexpr int64_t kMoveNs = 1'000'000;

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void Relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void FutexWait(std::atomic<uint32_t>& word, uint32_t seen) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr,
          0);
}

void FutexWakeAll(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr,
          nullptr, 0);
}

// A counter that threads wait on until it changes.
struct alignas(128) Event {
  std::atomic<uint32_t> value{0};
  std::atomic<uint32_t> sleepers{0};

  bool Spin(uint32_t seen, int n_spins) const {
    for (int i = 0; i < n_spins; ++i) {
      if (value.load(std::memory_order_acquire) != seen) return true;
      Relax();
    }
    return false;
  }

  bool SpinLong(uint32_t seen) const {
    const int64_t end_ns = NowNs() + kLongSpinNs;
    do {
      if (Spin(seen, kSpinsPerClock)) return true;
    } while (NowNs() < end_ns);
    return false;
  }

  void Sleep(uint32_t seen) {
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    while (value.load(std::memory_order_seq_cst) == seen) FutexWait(value, seen);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
  }

  void Advance() {
    value.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_seq_cst) != 0) FutexWakeAll(value);
  }
};

// Where each thread runs, told at every barrier.
class Seats {
 public:
  explicit Seats(int n_threads) : seats_(static_cast<size_t>(n_threads)) {}

  void Tell(int thread) { seat(thread).cpu.store(sched_getcpu(), std::memory_order_relaxed); }

  bool IsShared(int thread) const {
    const int cpu = seat(thread).cpu.load(std::memory_order_relaxed);
    for (const Seat& other : seats_) {
      if (&other != &seat(thread) && other.cpu.load(std::memory_order_relaxed) == cpu) return true;
    }
    return false;
  }

  // Keeps the calling thread, until Release, to CPUs of its mask where no other thread of the pool
  // runs.
  bool MoveAway(int thread) {
    const int64_t now = NowNs();
    Seat& own = seat(thread);
    if (now - own.moved_ns < kMoveNs) return false;
    own.moved_ns = now;
    // Fails beyond 1024 CPUs, where threads stay as they are.
    if (!own.is_kept && sched_getaffinity(0, sizeof own.mask, &own.mask) != 0) return false;
    cpu_set_t free = own.mask;
    for (const Seat& other : seats_) {
      const int cpu = other.cpu.load(std::memory_order_relaxed);
      if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_CLR(cpu, &free);
    }
    if (CPU_COUNT(&free) == 0 || sched_setaffinity(0, sizeof free, &free) != 0) return false;
    own.is_kept = true;
    Tell(thread);
    return true;
  }

  // At a job's end: gives the thread its mask back.
  void Release(int thread) {
    Seat& own = seat(thread);
    if (!own.is_kept) return;
    sched_setaffinity(0, sizeof own.mask, &own.mask);
    own.is_kept = false;
  }

 private:
  struct alignas(128) Seat {
    std::atomic<int> cpu{-1};
    // The thread's own:
    int64_t moved_ns = 0;
    bool is_kept = false;
    cpu_set_t mask;  // While it is kept: as it was before.
  };
  Seat& seat(int thread) { return seats_[static_cast<size_t>(thread)]; }
  const Seat& seat(int thread) const { return seats_[static_cast<size_t>(thread)]; }

  std::vector<Seat> seats_;
};

// Flushes denormals on this thread while it lives.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }  // FTZ | DAZ
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | (uint64_t{1} << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

}  // namespace

struct ThreadPool::Impl {
  explicit Impl(int n) : n_threads(n), seats(n) {}

  const int n_threads;
  Seats seats;
  Event start;  // Advances when a job begins.
  Event done;   // Advances when the last worker has finished the job.
  std::atomic<int> n_running{0};
  Event gate;  // Advances when the last thread has reached a barrier.
  alignas(128) std::atomic<int> n_arrived{0};
  FunctionRef<void(int)>* job = nullptr;
  bool stop = false;
  std::vector<std::thread> threads;

  void Wait(Event& event, uint32_t seen, int thread) {
    if (event.Spin(seen, kQuickSpins)) return;
    // On one CPU with a thread that is waited for, spinning is in its way.
    const bool may_spin = !seats.IsShared(thread) || seats.MoveAway(thread);
    if (may_spin && event.SpinLong(seen)) return;
    event.Sleep(seen);
  }

  void Work(int thread) {
    FlushDenormals flush;
    uint32_t seen = 0;
    for (;;) {
      seats.Tell(thread);
      Wait(start, seen, thread);
      ++seen;
      if (stop) return;
      (*job)(thread);
      seats.Release(thread);
      if (n_running.fetch_sub(1, std::memory_order_acq_rel) == 1) done.Advance();
    }
  }
};

ThreadPool::ThreadPool(int n_threads) : impl_(new Impl(n_threads)), n_threads_(n_threads) {
  for (int t = 1; t < n_threads; ++t) impl_->threads.emplace_back([this, t] { impl_->Work(t); });
}

ThreadPool::~ThreadPool() {
  impl_->stop = true;
  impl_->start.Advance();
  for (auto& thread : impl_->threads) thread.join();
}

void ThreadPool::Run(FunctionRef<void(int thread)> job) {
  FlushDenormals flush;
  if (n_threads_ == 1) return job(0);
  impl_->job = &job;
  impl_->n_running.store(n_threads_ - 1, std::memory_order_relaxed);
  const uint32_t seen = impl_->done.value.load(std::memory_order_relaxed);
  impl_->start.Advance();
  job(0);
  impl_->seats.Tell(0);
  impl_->Wait(impl_->done, seen, 0);
  impl_->seats.Release(0);
}

void ThreadPool::Barrier(int thread) {
  if (n_threads_ == 1) return;
  Impl& pool = *impl_;
  pool.seats.Tell(thread);
  const uint32_t seen = pool.gate.value.load(std::memory_order_acquire);
  if (pool.n_arrived.fetch_add(1, std::memory_order_acq_rel) == n_threads_ - 1) {
    pool.n_arrived.store(0, std::memory_order_relaxed);
    pool.gate.Advance();
  } else {
    pool.Wait(pool.gate, seen, thread);
  }
}

}  // namespace lamina
