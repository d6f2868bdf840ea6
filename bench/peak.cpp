#include "peak.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "base/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace lamina::bench {
namespace {

constexpr int kSteps = 2'000'000;
constexpr int kChains = 10;  // more than latency times throughput, fewer than registers

#if defined(__x86_64__)
// A product is of use only once it is added: the peak is of both instructions together.
__attribute__((target("avx2"))) double Maddubs() {
  __m256i sum[kChains] = {};
  const __m256i w = _mm256_set1_epi8(3), x = _mm256_set1_epi8(1);
  const double start = ThreadSeconds();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      __m256i product;
      __asm__ volatile("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
                       : "+x"(sum[c]), "=&x"(product)
                       : "x"(w), "x"(x));
    }
  }
  const double seconds = ThreadSeconds() - start;
  return double(kSteps) * kChains * 32 / seconds * 1e-9;
}
__attribute__((target("avx512f,avx512vnni"))) double Dpbusd512() {
  __m512i sum[kChains] = {};
  const __m512i w = _mm512_set1_epi32(0x03030303), x = _mm512_set1_epi32(0x01010101);
  const double start = ThreadSeconds();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum[c]) : "v"(w), "v"(x));
    }
  }
  const double seconds = ThreadSeconds() - start;
  return double(kSteps) * kChains * 64 / seconds * 1e-9;
}
__attribute__((target("avx2"))) double Dpbusd256() {
  __m256i sum[kChains] = {};
  const __m256i w = _mm256_set1_epi8(3), x = _mm256_set1_epi8(1);
  const double start = ThreadSeconds();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum[c]) : "x"(w), "x"(x));
    }
  }
  const double seconds = ThreadSeconds() - start;
  return double(kSteps) * kChains * 32 / seconds * 1e-9;
}
__attribute__((target("avx2,fma"))) double Fma256() {
  __m256 sum[kChains] = {};
  const __m256 w = _mm256_set1_ps(0.5f), x = _mm256_set1_ps(0.25f);
  const double start = ThreadSeconds();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(sum[c]) : "x"(w), "x"(x));
    }
  }
  const double seconds = ThreadSeconds() - start;
  return double(kSteps) * kChains * 8 / seconds * 1e-9;
}
__attribute__((target("avx512f"))) double Fma512() {
  __m512 sum[kChains] = {};
  const __m512 w = _mm512_set1_ps(0.5f), x = _mm512_set1_ps(0.25f);
  const double start = ThreadSeconds();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(sum[c]) : "v"(w), "v"(x));
    }
  }
  const double seconds = ThreadSeconds() - start;
  return double(kSteps) * kChains * 16 / seconds * 1e-9;
}
__attribute__((target("avx2"))) void Copy256(const float* from, float* to, int n) {
  for (int i = 0; i < n; i += 8) _mm256_store_ps(to + i, _mm256_load_ps(from + i));
}
__attribute__((target("avx512f"))) void Copy512(const float* from, float* to, int n) {
  for (int i = 0; i < n; i += 16) _mm512_store_ps(to + i, _mm512_load_ps(from + i));
}
#elif defined(__aarch64__)
double Fma128() {
  float32x4_t sum[kChains] = {};
  const float32x4_t w = vdupq_n_f32(0.5f), x = vdupq_n_f32(0.25f);
  const double start = ThreadSeconds();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(sum[c]) : "w"(w), "w"(x));
    }
  }
  const double seconds = ThreadSeconds() - start;
  return double(kSteps) * kChains * 4 / seconds * 1e-9;
}
void Copy128(const float* from, float* to, int n) {
  for (int i = 0; i < n; i += 4) vst1q_f32(to + i, vld1q_f32(from + i));
}
__attribute__((target("+dotprod"))) double Sdot() {
  int32x4_t sum[kChains] = {};
  const int8x16_t w = vdupq_n_s8(3), x = vdupq_n_s8(1);
  const double start = ThreadSeconds();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) {
      __asm__ volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum[c]) : "w"(w), "w"(x));
    }
  }
  const double seconds = ThreadSeconds() - start;
  return double(kSteps) * kChains * 16 / seconds * 1e-9;
}
#endif

}  // namespace

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

double PeakGmacPerS(std::string_view isa) {
  double (*measure)() = nullptr;
#if defined(__x86_64__)
  if (isa == "avx2") measure = &Maddubs;
  if (isa == "avxvnni") measure = &Dpbusd256;
  if (isa == "avx512vnni" || isa == "avx512bf16") measure = &Dpbusd512;
#elif defined(__aarch64__)
  if (isa == "neon") measure = &Sdot;
#endif
  if (measure == nullptr) return 0;
  double best = 0;
  for (int i = 0; i < 5; ++i) best = std::max(best, measure());
  return best;
}

double PeakFmaGmacPerS(std::string_view isa) {
  double (*measure)() = nullptr;
#if defined(__x86_64__)
  if (isa == "avx2" || isa == "avxvnni") measure = &Fma256;
  if (isa == "avx512vnni") measure = &Fma512;
#elif defined(__aarch64__)
  if (isa == "neon") measure = &Fma128;
#endif
  if (measure == nullptr) return 0;
  double best = 0;
  for (int i = 0; i < 5; ++i) best = std::max(best, measure());
  return best;
}

double CopyGbPerS(std::string_view isa) {
  void (*copy)(const float*, float*, int) = nullptr;
#if defined(__x86_64__)
  copy = isa == "avx512vnni" ? &Copy512 : &Copy256;
#elif defined(__aarch64__)
  copy = &Copy128;
#endif
  constexpr int kFloats = 2048, kRepeats = 20000;
  alignas(64) static float from[kFloats], to[kFloats];
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const double start = ThreadSeconds();
    for (int i = 0; i < kRepeats; ++i) {
      copy(from, to, kFloats);
      __asm__ volatile("" : : "r"(from), "r"(to) : "memory");
    }
    best = std::max(best, 2.0 * sizeof(from) * kRepeats / (ThreadSeconds() - start) * 1e-9);
  }
  (void)isa;
  return best;
}

double ReadGbPerS(int n_threads) {
  const int64_t n = (int64_t{256} << 20) / 8;
  std::vector<uint64_t> data(size_t(n), 1);
  std::vector<uint64_t> sums(size_t(n_threads) * 8);
  ThreadPool pool(n_threads);
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    pool.Run([&](int thread) {
      const Range range = SplitRange(n, thread, n_threads, 8);
      uint64_t sum[4] = {};
      for (int64_t i = range.begin; i + 4 <= range.end; i += 4) {
        for (int j = 0; j < 4; ++j) sum[j] += data[size_t(i + j)];
      }
      sums[size_t(thread) * 8] = sum[0] + sum[1] + sum[2] + sum[3];
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    for (uint64_t& s : sums) __asm__ volatile("" : : "r"(s));
    best = std::max(best, double(n) * 8 / elapsed.count() * 1e-9);
  }
  return best;
}

}  // namespace lamina::bench
