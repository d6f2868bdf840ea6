#include "base/thread_pool.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lamina {
namespace {

// A barrier is crossed within a microsecond when every thread has a core of its own; the spin
// covers that. Beside a busy process a thread may lose its core for milliseconds: then yielding
// lets the other run, and sleeping costs nothing while a pool is idle.
constexpr int kSpins = 2000;
constexpr int kYields = 200;

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

  void WaitWhile(uint32_t seen) {
    for (int i = 0; i < kSpins; ++i) {
      if (value.load(std::memory_order_acquire) != seen) return;
      Relax();
    }
    for (int i = 0; i < kYields; ++i) {
      if (value.load(std::memory_order_acquire) != seen) return;
      sched_yield();
    }
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    while (value.load(std::memory_order_seq_cst) == seen) FutexWait(value, seen);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
  }

  void Advance() {
    value.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_seq_cst) != 0) FutexWakeAll(value);
  }
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
  explicit Impl(int n) : n_threads(n) {}

  const int n_threads;
  Event start;  // Advances when a job begins.
  Event done;   // Advances when the last worker has finished the job.
  std::atomic<int> n_running{0};
  Event gate;  // Advances when the last thread has reached a barrier.
  alignas(128) std::atomic<int> n_arrived{0};
  FunctionRef<void(int)>* job = nullptr;
  bool stop = false;
  std::vector<std::thread> threads;

  void Work(int thread) {
    FlushDenormals flush;
    uint32_t seen = 0;
    for (;;) {
      start.WaitWhile(seen);
      ++seen;
      if (stop) return;
      (*job)(thread);
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
  impl_->done.WaitWhile(seen);
}

void ThreadPool::Barrier(int) {
  if (n_threads_ == 1) return;
  Impl& pool = *impl_;
  const uint32_t seen = pool.gate.value.load(std::memory_order_acquire);
  if (pool.n_arrived.fetch_add(1, std::memory_order_acq_rel) == n_threads_ - 1) {
    pool.n_arrived.store(0, std::memory_order_relaxed);
    pool.gate.Advance();
  } else {
    pool.gate.WaitWhile(seen);
  }
}

}  // namespace lamina
