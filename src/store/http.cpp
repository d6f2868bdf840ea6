#include "store/http.h"

#include <curl/curl.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "format/quote.h"
#include "store/part_file.h"

namespace lamina::store {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxFruitlessTries = 4;
constexpr auto kProgressInterval = std::chrono::milliseconds(100);
constexpr long kConnectTimeoutSeconds = 20;
constexpr long kStallSeconds = 60;

std::string HostOf(const std::string& url) {
  const size_t begin = url.find("://") == url.npos ? 0 : url.find("://") + 3;
  const std::string authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  return authority.substr(authority.rfind('@') + 1);
}

Result<> CheckUrl(const HttpTarget& target) {
  const std::string& url = target.url;
  const bool is_https = url.starts_with("https://");
  const bool is_http = url.starts_with("http://") && target.allows_http;
  if (!is_https && !is_http) {
    return Error(Code::kInvalidArgument, "{} does not begin with https://", format::Quote(url));
  }
  for (const char c : url) {
    if (c <= 0x20 || c == 0x7f) {
      return Error(Code::kInvalidArgument, "{} holds a space or control character",
                   format::Quote(url));
    }
  }
  if (HostOf(url).empty()) {
    return Error(Code::kInvalidArgument, "{} names no host", format::Quote(url));
  }
  return {};
}

// The last answer's status and headers; a redirect's are overwritten by those of its target.
struct Answer {
  long status = 0;
  std::string etag;
  std::optional<uint64_t> n_body_bytes;
  std::optional<ContentRange> range;
};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

void ReadHeader(std::string_view line, Answer& answer) {
  if (line.starts_with("HTTP/")) {
    answer = Answer();
    const size_t space = line.find(' ');
    if (space != line.npos) {
      const std::string_view digits = Trim(line.substr(space));
      std::from_chars(digits.data(), digits.data() + digits.size(), answer.status);
    }
    return;
  }
  const size_t colon = line.find(':');
  if (colon == line.npos) return;
  const std::string name(line.substr(0, colon));
  const std::string_view value = Trim(line.substr(colon + 1));
  if (strcasecmp(name.c_str(), "etag") == 0) {
    // A weak one does not promise equal bytes.
    if (!value.starts_with("W/")) answer.etag = value;
  } else if (strcasecmp(name.c_str(), "content-length") == 0) {
    uint64_t n_bytes;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n_bytes);
    if (error == std::errc() && end == value.data() + value.size()) answer.n_body_bytes = n_bytes;
  } else if (strcasecmp(name.c_str(), "content-range") == 0) {
    answer.range = ParseContentRange(value);
  }
}

// What happens with a body; the first error ends the transfer.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Result<> Accept(const Answer& answer, Bytes bytes) = 0;
  virtual uint64_t done_bytes() const = 0;
  virtual uint64_t total_bytes() const = 0;
};

struct Transfer {
  Answer answer;
  Sink* sink;
  ProgressCallback progress;
  Clock::time_point last_report;
  Status error;  // the sink's
  bool is_cancelled = false;
};

size_t OnHeader(char* data, size_t, size_t n_bytes, void* user) {
  ReadHeader({data, n_bytes}, static_cast<Transfer*>(user)->answer);
  return n_bytes;
}

size_t OnBody(char* data, size_t, size_t n_bytes, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto accepted =
      transfer.sink->Accept(transfer.answer, {reinterpret_cast<const uint8_t*>(data), n_bytes});
  if (accepted) return n_bytes;
  transfer.error = accepted.error();
  return n_bytes == 0 ? 1 : 0;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto now = Clock::now();
  if (now - transfer.last_report < kProgressInterval) return 0;
  transfer.last_report = now;
  transfer.is_cancelled = !transfer.progress(
      {"downloading", transfer.sink->done_bytes(), transfer.sink->total_bytes()});
  return transfer.is_cancelled ? 1 : 0;
}

struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

bool MayHelpToTryAgain(CURLcode code) {
  switch (code) {
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_COULDNT_CONNECT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

// One request's end: an error, and whether another try may go better.
struct Outcome {
  Status status;
  bool is_transient = false;
  bool is_bad_range = false;  // 416: the file has become shorter than what is here
};

Outcome CurlFailure(CURLcode code, const HttpTarget& target, const char* detail) {
  const std::string host = HostOf(target.url);
  const std::string_view reason = *detail ? detail : curl_easy_strerror(code);
  std::string message = fmt::format("{} cannot be reached: {}", host, reason);
  if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
    message = fmt::format("{} cannot be found ({}); is this machine offline?", host, reason);
  } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
    message = fmt::format("the certificate of {} cannot be trusted: {}", host, reason);
  } else if (code == CURLE_TOO_MANY_REDIRECTS) {
    message = fmt::format("{} redirects in a circle", host);
  } else if (code == CURLE_UNSUPPORTED_PROTOCOL) {
    message = fmt::format("{} redirects to what is not https", host);
  } else if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING) {
    message = fmt::format("the connection to {} broke ({}); run the same command again to go on",
                          host, reason);
  }
  return {Status(Code::kUnavailable, std::move(message)), MayHelpToTryAgain(code)};
}

Outcome StatusFailure(long status, const HttpTarget& target) {
  const auto make = [&](Code code, std::string_view what) {
    return Status(code, fmt::format("{} answered {} {} to {}", HostOf(target.url), status, what,
                                    format::Quote(target.url)));
  };
  switch (status) {
    case 401:
      return {make(Code::kUnauthenticated, "(a valid token is needed)")};
    case 403:
      return {make(Code::kPermissionDenied, "(access is refused)")};
    case 404:
    case 410:
      return {make(Code::kNotFound, "(there is no such file)")};
    case 416:
      return {make(Code::kUnavailable, "(no such part)"), true, true};
    case 408:
    case 429:
      return {make(Code::kUnavailable, "(too busy; try again later)"), true};
    default:
      return {make(Code::kUnavailable,
                   status >= 500 ? "(a fault of the server; try again later)" : "(not a file)"),
              status >= 500};
  }
}

// A GET of target from byte `range_start`; `if_range`: the etag under which that makes sense.
Outcome Get(const HttpTarget& target, uint64_t range_start, const std::string& if_range, Sink& sink,
            ProgressCallback progress) {
  static const CURLcode is_initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  std::unique_ptr<CURL, CurlDeleter> curl(is_initialized == CURLE_OK ? curl_easy_init() : nullptr);
  if (!curl) return {Status(Code::kInternal, "the library libcurl cannot be started")};
  Transfer transfer{{}, &sink, progress, {}, {}};
  char detail[CURL_ERROR_SIZE] = "";
  const auto set = [&](CURLoption option, auto value) {
    curl_easy_setopt(curl.get(), option, value);
  };
  const bool is_http = target.url.starts_with("http://");
  set(CURLOPT_URL, target.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, is_http ? "http,https" : "https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, is_http ? "http,https" : "https");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 8L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  set(CURLOPT_USERAGENT, "lamina");
  set(CURLOPT_ERRORBUFFER, detail);
  set(CURLOPT_HEADERFUNCTION, OnHeader);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, OnBody);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, OnProgress);
  set(CURLOPT_XFERINFODATA, &transfer);
  // The command curl and OpenSSL honour it; the library libcurl alone does not.
  if (const char* bundle = std::getenv("SSL_CERT_FILE"); bundle && *bundle) {
    set(CURLOPT_CAINFO, bundle);
  }
  if (!target.bearer_token.empty()) {
    set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    set(CURLOPT_XOAUTH2_BEARER, target.bearer_token.c_str());
  }
  std::unique_ptr<curl_slist, CurlDeleter> headers;
  if (range_start > 0) {
    headers.reset(curl_slist_append(nullptr, fmt::format("If-Range: {}", if_range).c_str()));
    set(CURLOPT_HTTPHEADER, headers.get());
    set(CURLOPT_RANGE, fmt::format("{}-", range_start).c_str());
  }
  const CURLcode code = curl_easy_perform(curl.get());
  if (transfer.is_cancelled) return {Status(Code::kCancelled, "cancelled")};
  if (!transfer.error.ok()) return {transfer.error, transfer.error.code() == Code::kAborted};
  const long status = transfer.answer.status;
  const bool is_refused_redirect =
      code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_UNSUPPORTED_PROTOCOL;
  if (status >= 300 && !is_refused_redirect) return StatusFailure(status, target);
  if (code != CURLE_OK) return CurlFailure(code, target, detail);
  if (status != 200 && status != 206) return StatusFailure(status, target);
  // An empty body never reached the sink.
  const auto accepted = sink.Accept(transfer.answer, {});
  return {accepted.status(), accepted.status().code() == Code::kAborted};
}

class TextSink : public Sink {
 public:
  explicit TextSink(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  Result<> Accept(const Answer& answer, Bytes bytes) override {
    if (answer.status != 200) return {};
    if (bytes.size() > max_bytes_ - text_.size()) {
      return Error(Code::kResourceExhausted, "the answer is longer than {} bytes", max_bytes_);
    }
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  uint64_t done_bytes() const override { return text_.size(); }
  uint64_t total_bytes() const override { return 0; }
  std::string& text() { return text_; }

 private:
  uint64_t max_bytes_;
  std::string text_;
};

class FileSink : public Sink {
 public:
  FileSink(PartFile& part, std::optional<uint64_t> expected_bytes)
      : part_(part), expected_bytes_(expected_bytes) {}

  Result<> Accept(const Answer& answer, Bytes bytes) override {
    if (answer.status != 200 && answer.status != 206) return {};
    if (!std::exchange(has_begun_, true)) TRY(Begin(answer));
    return part_.Append(bytes);
  }
  uint64_t done_bytes() const override { return part_.n_bytes(); }
  uint64_t total_bytes() const override {
    return expected_bytes_.value_or(part_.total_bytes().value_or(0));
  }

 private:
  Result<> Begin(const Answer& answer) {
    if (answer.status == 206) return part_.GoOn(answer.range, answer.etag);
    return part_.StartOver(answer.etag, answer.n_body_bytes, expected_bytes_);
  }

  PartFile& part_;
  std::optional<uint64_t> expected_bytes_;
  bool has_begun_ = false;
};

// False: cancelled.
bool WaitBeforeTry(int n_fruitless, const PartFile& part, ProgressCallback progress) {
  const auto end = Clock::now() + std::chrono::milliseconds(250) * (1 << n_fruitless);
  while (Clock::now() < end) {
    if (!progress({"waiting", part.n_bytes(), part.total_bytes().value_or(0)})) return false;
    std::this_thread::sleep_for(kProgressInterval);
  }
  return true;
}

}  // namespace

Result<std::string> FetchText(const HttpTarget& target, uint64_t max_bytes,
                              ProgressCallback progress) {
  TRY(CheckUrl(target));
  TextSink sink(max_bytes);
  const Outcome outcome = Get(target, 0, "", sink, progress);
  if (!outcome.status.ok()) return Error(outcome.status);
  return std::move(sink.text());
}

Result<> DownloadFile(const HttpTarget& target, const std::string& part_path,
                      std::optional<uint64_t> expected_bytes, ProgressCallback progress) {
  TRY(CheckUrl(target));
  PartFile part = TRY(PartFile::Open(part_path, target.url));
  uint64_t most_bytes = 0;
  for (int n_fruitless = 0;;) {
    if (part.IsComplete()) return part.Finish(expected_bytes);
    FileSink sink(part, expected_bytes);
    const uint64_t range_start = part.CanGoOn() ? part.n_bytes() : 0;
    most_bytes = std::max(most_bytes, range_start);
    const Outcome outcome = Get(target, range_start, part.etag(), sink, progress);
    if (outcome.status.ok()) return part.Finish(expected_bytes);
    if (!outcome.is_transient) return Error(outcome.status);
    if (outcome.is_bad_range) TRY(part.Reset());
    n_fruitless = part.n_bytes() > most_bytes ? 0 : n_fruitless + 1;
    most_bytes = std::max(most_bytes, part.n_bytes());
    if (n_fruitless >= kMaxFruitlessTries) return Error(outcome.status);
    if (!WaitBeforeTry(n_fruitless, part, progress)) return Error(Code::kCancelled, "cancelled");
  }
}

void DiscardPart(const std::string& part_path) { PartFile::Discard(part_path); }

}  // namespace lamina::store
