// The pool under jobs, barriers and idleness; run under the thread sanitizer in CI.
#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <time.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

namespace lamina {
namespace {

double ProcessCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

TEST(ThreadPool, EveryThreadRunsEveryJobOnce) {
  for (int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    EXPECT_EQ(pool.n_threads(), n_threads);
    std::vector<int> n_runs(n_threads, 0);
    for (int job = 0; job < 300; ++job) pool.Run([&](int thread) { ++n_runs[thread]; });
    for (int count : n_runs) EXPECT_EQ(count, 300);
  }
}

TEST(ThreadPool, NothingPassesABarrierBeforeAllHaveArrived) {
  constexpr int kPhases = 400;
  for (int n_threads : {1, 2, 4}) {
    ThreadPool pool(n_threads);
    // Plain ints: only the barrier orders the accesses, and the thread sanitizer checks that.
    std::vector<int> phase(n_threads, 0);
    std::vector<int> n_behind(n_threads, 0);
    pool.Run([&](int thread) {
      for (int p = 1; p <= kPhases; ++p) {
        phase[thread] = p;
        pool.Barrier(thread);
        for (int other : phase) n_behind[thread] += other != p;
        pool.Barrier(thread);
      }
    });
    for (int count : n_behind) EXPECT_EQ(count, 0);
  }
}

TEST(ThreadPool, AnIdlePoolUsesNoCpu) {
  ThreadPool pool(4);
  pool.Run([](int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double before = ProcessCpuSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(ProcessCpuSeconds() - before, 0.01);
}

TEST(ThreadPool, AThreadThatArrivesLateIsWaitedForAsleep) {
  ThreadPool pool(2);
  int value = 0, seen = 0;
  pool.Run([&](int thread) {
    if (thread == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      value = 7;
    }
    pool.Barrier(thread);
    if (thread == 0) seen = value;
  });
  EXPECT_EQ(seen, 7);
}

cpu_set_t OwnMask() {
  cpu_set_t mask;
  EXPECT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
  return mask;
}

// The pool keeps its threads apart while a job runs; afterwards every thread may again run where it
// might before, whatever happened.
TEST(ThreadPool, LeavesTheThreadsMasksAsTheyWere) {
  const cpu_set_t before = OwnMask();
  // More threads than CPUs meet on one of them.
  const int n_threads = 2 * CPU_COUNT(&before);
  ThreadPool pool(n_threads);
  for (int job = 0; job < 20; ++job) {
    pool.Run([&](int thread) {
      for (int phase = 0; phase < 20; ++phase) pool.Barrier(thread);
    });
  }
  const cpu_set_t after = OwnMask();
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  std::vector<int> is_equal(static_cast<size_t>(n_threads), 0);
  pool.Run([&](int thread) {
    const cpu_set_t mask = OwnMask();
    is_equal[static_cast<size_t>(thread)] = CPU_EQUAL(&before, &mask);
  });
  for (int equal : is_equal) EXPECT_TRUE(equal);
}

// On one CPU the threads take turns by sleeping: a phase costs some switches, not a slice.
TEST(ThreadPool, ThreadsOnOneCpuTakeTurns) {
  std::thread([] {
    const cpu_set_t all = OwnMask();
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    ThreadPool pool(2);
    timespec begin, end;
    constexpr int kPhases = 2000;
    pool.Run([&](int thread) {
      pool.Barrier(thread);
      if (thread == 0) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
      for (int phase = 0; phase < kPhases; ++phase) pool.Barrier(thread);
      if (thread == 0) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    });
    const double us = 1e6 * static_cast<double>(end.tv_sec - begin.tv_sec) +
                      1e-3 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
    EXPECT_LT(us / kPhases, 100);  // Of CPU time. Long spins would take 300 a phase.
  }).join();
}

TEST(ThreadPool, DenormalsAreFlushedInJobsAndNotOutside) {
  ThreadPool pool(2);
  volatile float smallest = std::numeric_limits<float>::min();
  float in_job[2] = {1, 1};
  pool.Run([&](int thread) { in_job[thread] = smallest / 2; });
  EXPECT_EQ(in_job[0], 0.0f);
  EXPECT_EQ(in_job[1], 0.0f);
  EXPECT_GT(smallest / 2, 0.0f);
}

TEST(SplitRange, CoversEverythingOnceInGrains) {
  for (int64_t n : {0, 1, 15, 16, 17, 100, 1000}) {
    for (int n_threads : {1, 2, 3, 7}) {
      for (int64_t grain : {1, 16}) {
        int64_t next = 0;
        for (int thread = 0; thread < n_threads; ++thread) {
          const Range range = SplitRange(n, thread, n_threads, grain);
          EXPECT_EQ(range.begin, next);
          EXPECT_TRUE(range.begin % grain == 0 || range.begin == n);
          EXPECT_GE(range.end, range.begin);
          next = range.end;
        }
        EXPECT_EQ(next, n);
      }
    }
  }
}

TEST(DefaultThreadCount, IsWithinTheMachine) {
  EXPECT_GE(DefaultThreadCount(), 1);
  EXPECT_LE(DefaultThreadCount(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace lamina
