// A base for handlers that pick fields out of a big JSON text. Include only in .cpp files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lamina::text {

/// nlohmann's event interface with an error of ours. A handler overrides what it wants and passes
/// on to nothing; returning Fail() ends the parse.
class JsonStream : public nlohmann::json::json_sax_t {
 public:
  /// Errors: what the handler said; kInvalidArgument with the place in text that is no JSON.
  Result<> Run(std::string_view text) {
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), this)) return Error(status_);
    return {};
  }

  bool binary(binary_t&) override { return Fail("JSON has no binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return Fail(fmt::format("JSON is malformed at byte {}", position));
  }

 protected:
  bool Fail(std::string message) {
    status_ = Status(Code::kInvalidArgument, std::move(message));
    return false;
  }

 private:
  Status status_ = Status(Code::kInvalidArgument, "JSON is malformed");
};

}  // namespace lamina::text
