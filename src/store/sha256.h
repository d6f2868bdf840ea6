// SHA-256 of bytes and of files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/function_ref.h"
#include "base/result.h"

namespace lamina::store {

/// 64 hexadecimal digits of the digest of a text.
std::string Sha256Of(std::string_view text);

/// 64 hexadecimal digits of the digest of a file. `on_bytes(done)` is called every few MiB; false
/// ends with kCancelled.
Result<std::string> Sha256OfFile(const std::string& path, FunctionRef<bool(uint64_t)> on_bytes);

/// Whether this is 64 digits 0-9 a-f.
bool IsSha256(std::string_view text);

}  // namespace lamina::store
