// A fixed set of threads that run one job together and meet at barriers inside it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace lamina {

/// Threads for one engine, passed explicitly; there is no global pool. The calling thread is
/// thread 0, so a pool of one starts nothing. Waiting spins briefly, then sleeps in the kernel, so
/// an idle pool uses no CPU and a bystander is not starved. Denormals are flushed to zero on the
/// pool's own threads and, during Run, on the caller's.
class ThreadPool {
 public:
  /// n_threads >= 1; see DefaultThreadCount().
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }

  /// Runs job(thread) once on each of the threads 0..n_threads-1 and returns when all are done.
  /// One Run at a time; the job must not throw and must not call Run.
  void Run(FunctionRef<void(int thread)> job);

  /// Inside a job: returns when every thread has arrived. All threads must call it equally often.
  void Barrier(int thread);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int n_threads_;
};

/// Physical cores within this process's affinity mask and the cgroup's cpu.max, at least 1.
int DefaultThreadCount();

/// The half-open part of [0, n) that belongs to `thread` of `n_threads`, in multiples of `grain`.
struct Range {
  int64_t begin;
  int64_t end;
};
inline Range SplitRange(int64_t n, int thread, int n_threads, int64_t grain = 1) {
  const int64_t n_grains = (n + grain - 1) / grain;
  const int64_t begin = n_grains * thread / n_threads * grain;
  const int64_t end = n_grains * (thread + 1) / n_threads * grain;
  return {begin < n ? begin : n, end < n ? end : n};
}

}  // namespace lamina
