#include "cli/heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace lamina::cli {
namespace {

constexpr int kHeapBytes = 32 << 20;
constexpr int kLargeBlockBytes = 8 << 20;  // From here on blocks are mapped one by one.

}  // namespace

void UseHugePagesForHeap() {
  mallopt(M_MMAP_THRESHOLD, kLargeBlockBytes);
  mallopt(M_TRIM_THRESHOLD, 2 * kHeapBytes);
  mallopt(M_TOP_PAD, kHeapBytes);
  const auto begin = reinterpret_cast<uintptr_t>(sbrk(0));
  void* volatile block = std::malloc(kLargeBlockBytes / 2);  // Grows the heap.
  std::free(block);
  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  mallopt(M_TOP_PAD, 1 << 20);
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = (begin + page - 1) / page * page;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
}

}  // namespace lamina::cli
