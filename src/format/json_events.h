// JSON as events, for texts whose document would be many times their size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lamina::format {

/// Receives what ParseJsonEvents meets, in order. A handler overrides what it expects; every other
/// event is an error that names Where(). Returning false ends the parse, after Fail().
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;

  virtual bool OnKey(std::string key) = 0;
  virtual bool OnString(std::string) { return Unexpected("a string"); }
  virtual bool OnUnsigned(uint64_t) { return Unexpected("a number"); }
  /// null, a bool, a negative number or one with a fraction.
  virtual bool OnOther(std::string_view what) { return Unexpected(what); }
  virtual bool OnObject() { return Unexpected("an object"); }
  virtual bool OnObjectEnd() = 0;
  virtual bool OnArray() { return Unexpected("an array"); }
  virtual bool OnArrayEnd() { return true; }

  const Status& status() const { return status_; }
  bool Fail(Code code, std::string message) { return Fail(Status(code, std::move(message))); }
  bool Fail(Status status) {
    status_ = std::move(status);
    return false;
  }

 protected:
  /// The field that is being read, for messages.
  virtual std::string Where() const = 0;

 private:
  bool Unexpected(std::string_view what) {
    return Fail(Code::kInvalidArgument, fmt::format("{} must not be {}", Where(), what));
  }

  Status status_;
};

/// Feeds one JSON value to `events`. Not recursive; depth is the handler's to bound. Errors: the
/// handler's, or kInvalidArgument with the byte at which the text is malformed.
Result<> ParseJsonEvents(std::string_view text, JsonEvents& events);

}  // namespace lamina::format
