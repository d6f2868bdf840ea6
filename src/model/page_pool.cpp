#include "model/page_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace lamina::model {
namespace {

int64_t RoundUpToSystemPage(int64_t bytes) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

// Large enough that mapping is rare, small enough that a short chat does not reserve a long one's
// memory (untouched pages cost addresses only).
constexpr int64_t kSlabBytes = int64_t{16} << 20;
constexpr int64_t kHugePageBytes = int64_t{2} << 20;

}  // namespace

PagePool::PagePool(int64_t page_bytes, int64_t keep_bytes)
    : page_bytes_(RoundUpToSystemPage(page_bytes)), keep_bytes_(keep_bytes) {
  slabs_.reserve(64);
  free_.reserve(4096);
  dropped_.reserve(4096);
}

PagePool::~PagePool() {
  for (const Slab& slab : slabs_) munmap(slab.data, static_cast<size_t>(slab.n_bytes));
}

bool PagePool::Grow() {
  const int64_t n_pages = std::max<int64_t>(1, kSlabBytes / page_bytes_);
  const int64_t n_bytes = n_pages * page_bytes_;
  // Give() must not allocate: both lists can hold every page there is. What throws comes before
  // the mapping, which nobody would own.
  const auto n_all = static_cast<size_t>(n_pages_ + n_pages);
  slabs_.reserve(slabs_.size() + 1);
  free_.reserve(n_all);
  dropped_.reserve(n_all);
  // Attention at a depth of thousands of tokens reads as many bytes as there are weights: in huge
  // pages, which need an aligned start, that costs fewer address translations. Best effort.
  void* data = mmap(nullptr, static_cast<size_t>(n_bytes + kHugePageBytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return false;
  auto* mapped = static_cast<uint8_t*>(data);
  const int64_t n_before =
      -static_cast<int64_t>(reinterpret_cast<uintptr_t>(data)) & (kHugePageBytes - 1);
  if (n_before > 0) munmap(mapped, static_cast<size_t>(n_before));
  data = mapped + n_before;
  munmap(mapped + n_before + n_bytes, static_cast<size_t>(kHugePageBytes - n_before));
  madvise(data, static_cast<size_t>(n_bytes), MADV_HUGEPAGE);
  auto* first = static_cast<uint8_t*>(data);
  slabs_.push_back({first, n_bytes});
  n_pages_ += n_pages;
  for (int64_t i = n_pages - 1; i >= 0; --i) free_.push_back(first + i * page_bytes_);
  return true;
}

uint8_t* PagePool::Take() {
  std::lock_guard lock(mutex_);
  std::vector<uint8_t*>& from = free_.empty() ? dropped_ : free_;
  if (from.empty() && !Grow()) return nullptr;
  std::vector<uint8_t*>& list = from.empty() ? free_ : from;
  uint8_t* page = list.back();
  list.pop_back();
  return page;
}

void PagePool::Give(uint8_t* page) {
  std::lock_guard lock(mutex_);
  if (static_cast<int64_t>(free_.size() + 1) * page_bytes_ > keep_bytes_) {
    madvise(page, static_cast<size_t>(page_bytes_), MADV_DONTNEED);
    dropped_.push_back(page);
  } else {
    free_.push_back(page);
  }
}

}  // namespace lamina::model
