// Fetching over HTTPS: small answers whole, large files into a part that a later run goes on with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "store/library.h"

namespace lamina::store {

/// Where a request goes. Plain http is refused unless `allows_http`: only for an address that the
/// user set himself. The token is sent to this host alone, not to one that it redirects to.
struct HttpTarget {
  std::string url;
  std::string bearer_token;
  bool allows_http = false;
};

/// The body of a GET. Errors: kUnavailable when the host cannot be reached, kNotFound,
/// kUnauthenticated, kPermissionDenied by the answer's status; kResourceExhausted above max_bytes.
Result<std::string> FetchText(const HttpTarget& target, uint64_t max_bytes,
                              ProgressCallback progress);

/// Downloads into `part_path`, which a kill leaves behind; `part_path`.json remembers what it is a
/// part of. A later call asks for the rest, and begins anew where the server's file has changed or
/// it cannot send parts. Broken connections are tried again while they bring bytes. The file is
/// synced in the end. Errors: as FetchText; kDataLoss where its length is not `expected_bytes`;
/// kCancelled. One call at a time per part.
Result<> DownloadFile(const HttpTarget& target, const std::string& part_path,
                      std::optional<uint64_t> expected_bytes, ProgressCallback progress);

/// Removes a part and what is remembered of it.
void DiscardPart(const std::string& part_path);

}  // namespace lamina::store
