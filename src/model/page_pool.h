// Memory for keys and values: pages of equal size, handed out and taken back.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace lamina::model {

/// Pages of one size, carved from slabs that are mapped (not malloc'ed), so that a decoded token
/// that needs a new page allocates nothing from the heap. Pages given back are reused first; beyond
/// `keep_bytes` of free pages their memory goes back to the system, only the addresses stay.
/// Safe from any thread.
class PagePool {
 public:
  PagePool(int64_t page_bytes, int64_t keep_bytes);
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// A page of page_bytes(), 64-byte aligned, content undefined; null where the system has no more.
  uint8_t* Take();
  void Give(uint8_t* page);
  int64_t page_bytes() const { return page_bytes_; }

 private:
  struct Slab {
    uint8_t* data;
    int64_t n_bytes;
  };
  bool Grow();

  const int64_t page_bytes_;  ///< Rounded up to the system's page size.
  const int64_t keep_bytes_;
  std::mutex mutex_;
  int64_t n_pages_ = 0;
  std::vector<Slab> slabs_;
  std::vector<uint8_t*> free_;     ///< Resident (or never touched).
  std::vector<uint8_t*> dropped_;  ///< Given back to the system.
};

}  // namespace lamina::model
