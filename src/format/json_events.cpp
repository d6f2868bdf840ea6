#include "format/json_events.h"

#include <nlohmann/json.hpp>

namespace lamina::format {
namespace {

class Adapter : public nlohmann::json::json_sax_t {
 public:
  explicit Adapter(JsonEvents& events) : events_(events) {}

  bool null() override { return events_.OnOther("null"); }
  bool boolean(bool) override { return events_.OnOther("a bool"); }
  bool number_integer(number_integer_t) override { return events_.OnOther("a negative number"); }
  bool number_unsigned(number_unsigned_t number) override { return events_.OnUnsigned(number); }
  bool number_float(number_float_t, const string_t&) override {
    return events_.OnOther("a number with a fraction");
  }
  bool string(string_t& text) override { return events_.OnString(std::move(text)); }
  bool binary(binary_t&) override { return events_.OnOther("binary data"); }
  bool start_object(std::size_t) override { return events_.OnObject(); }
  bool end_object() override { return events_.OnObjectEnd(); }
  bool start_array(std::size_t) override { return events_.OnArray(); }
  bool end_array() override { return events_.OnArrayEnd(); }
  bool key(string_t& key) override { return events_.OnKey(std::move(key)); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return events_.Fail(Code::kInvalidArgument,
                        fmt::format("JSON is malformed at byte {}", position));
  }

 private:
  JsonEvents& events_;
};

}  // namespace

Result<> ParseJsonEvents(std::string_view text, JsonEvents& events) {
  Adapter adapter(events);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &adapter)) return Error(events.status());
  return {};
}

}  // namespace lamina::format
