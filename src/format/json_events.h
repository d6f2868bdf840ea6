// A base for handlers of JSON events that build no document. Include only in .cpp files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lamina::format {

/// nlohmann's event interface with an error of ours: a handler refuses an event by Fail(), and
/// everything that it does not override is refused.
class JsonEvents : public nlohmann::json::json_sax_t {
 public:
  Result<> Run(std::string_view text) {
    nlohmann::json::sax_parse(text.begin(), text.end(), this);
    if (!status_.ok()) return Error(status_);
    return {};
  }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a bool"); }
  bool number_integer(number_integer_t) override { return Unexpected("a negative number"); }
  bool number_unsigned(number_unsigned_t) override { return Unexpected("a number"); }
  bool number_float(number_float_t, const string_t&) override {
    return Unexpected("a number with a fraction");
  }
  bool string(string_t&) override { return Unexpected("a string"); }
  bool binary(binary_t&) override { return Unexpected("binary data"); }
  bool start_object(std::size_t) override { return Unexpected("an object"); }
  bool start_array(std::size_t) override { return Unexpected("an array"); }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    if (!status_.ok()) return false;
    return Fail(Code::kInvalidArgument, fmt::format("JSON is malformed at byte {}", position));
  }

 protected:
  bool Fail(Code code, std::string message) { return Fail(Status(code, std::move(message))); }
  bool Fail(Status status) {
    status_ = std::move(status);
    return false;
  }
  /// The field that is being read, for messages.
  virtual std::string Where() const = 0;

 private:
  bool Unexpected(std::string_view what) {
    return Fail(Code::kInvalidArgument, fmt::format("{} must not be {}", Where(), what));
  }

  Status status_;
};

}  // namespace lamina::format
