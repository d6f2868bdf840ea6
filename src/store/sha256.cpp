#include "store/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/descriptor.h"

namespace lamina::store {
namespace {

class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    is_good_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }
  void Add(const void* data, size_t n_bytes) {
    is_good_ = is_good_ && EVP_DigestUpdate(context_.get(), data, n_bytes) == 1;
  }
  Result<std::string> Hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n_bytes = 0;
    if (!is_good_ || EVP_DigestFinal_ex(context_.get(), digest, &n_bytes) != 1) {
      return Error(Code::kInternal, "the library OpenSSL cannot compute a SHA-256");
    }
    std::string hex;
    for (unsigned i = 0; i < n_bytes; ++i) hex += fmt::format("{:02x}", digest[i]);
    return hex;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
  bool is_good_;
};

}  // namespace

std::string Sha256Of(std::string_view text) {
  Hasher hasher;
  hasher.Add(text.data(), text.size());
  return hasher.Hex().value_or("");
}

Result<std::string> Sha256OfFile(const std::string& path, FunctionRef<bool(uint64_t)> on_bytes) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Error(ErrnoStatus(errno, "open", path));
  Hasher hasher;
  std::vector<char> buffer(4 << 20);
  uint64_t n_done = 0;
  for (;;) {
    const ssize_t n = read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error(ErrnoStatus(errno, "read", path));
    if (n == 0) return hasher.Hex();
    hasher.Add(buffer.data(), static_cast<size_t>(n));
    n_done += static_cast<uint64_t>(n);
    if (!on_bytes(n_done)) return Error(Code::kCancelled, "cancelled");
  }
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace lamina::store
