#include "counting_new.h"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {

int64_t current_bytes = 0;
int64_t base_bytes = 0;
int64_t peak_bytes = 0;
int64_t allocations_until_failure = -1;
bool fails_forever = false;
bool has_failed = false;

void* Allocate(size_t n_bytes) {
  if (allocations_until_failure >= 0 && allocations_until_failure-- == 0) {
    has_failed = true;
    if (fails_forever) allocations_until_failure = 0;
    throw std::bad_alloc();
  }
  void* memory = std::malloc(n_bytes);
  if (!memory) throw std::bad_alloc();
  current_bytes += static_cast<int64_t>(malloc_usable_size(memory));
  if (current_bytes > peak_bytes) peak_bytes = current_bytes;
  return memory;
}

void Free(void* memory) {
  if (!memory) return;
  current_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(size_t n_bytes) { return Allocate(n_bytes); }
void* operator new[](size_t n_bytes) { return Allocate(n_bytes); }
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete[](void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete[](void* memory, size_t) noexcept { Free(memory); }

namespace lamina::format {

void ResetPeak() { base_bytes = peak_bytes = current_bytes; }
int64_t PeakBytes() { return peak_bytes - base_bytes; }
int64_t CurrentBytes() { return current_bytes; }

void FailAllocation(int64_t n, bool forever) {
  allocations_until_failure = n;
  fails_forever = forever;
  has_failed = false;
}

bool StopFailing() {
  allocations_until_failure = -1;
  return has_failed;
}

}  // namespace lamina::format
