// Errors as values: a code that programs branch on and a sentence that people read.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace lamina {

/// The canonical codes (google.rpc.Code); one file maps them to HTTP and exit codes.
enum class Code {
  kOk = 0,
  kCancelled = 1,           ///< The caller asked to stop.
  kUnknown = 2,             ///< A third party failed without saying why.
  kInvalidArgument = 3,     ///< The request or file is wrong, whatever the state of the system.
  kDeadlineExceeded = 4,    ///< A time limit passed.
  kNotFound = 5,            ///< A named thing does not exist.
  kAlreadyExists = 6,       ///< A thing to be created is there already.
  kPermissionDenied = 7,    ///< The operating system or the policy refuses.
  kResourceExhausted = 8,   ///< Memory, disk or a quota does not suffice.
  kFailedPrecondition = 9,  ///< Right request, wrong state.
  kAborted = 10,            ///< Lost to a concurrent change; trying again may help.
  kOutOfRange = 11,         ///< Past the end: a context that is full, an offset beyond a file.
  kUnimplemented = 12,      ///< A type, architecture or option that this build does not support.
  kInternal = 13,           ///< A broken invariant: a defect of Lamina.
  kUnavailable = 14,        ///< A peer does not answer; trying again may help.
  kDataLoss = 15,           ///< Bytes are damaged or missing.
  kUnauthenticated = 16,    ///< A credential is missing or wrong.
};

/// The name of a code in lower snake case, e.g. "not_found".
std::string_view CodeName(Code code);

/// The outcome of an operation without a value. `message` is one sentence that names the field,
/// the value found and what to do; it never holds a pointer or a secret.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  /// The same code with `context` and ": " before the message.
  Status Prefixed(std::string_view context) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

}  // namespace lamina
