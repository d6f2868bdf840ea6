#include <algorithm>
#include <map>

#include "format/json.h"
#include "format/json_events.h"
#include "format/layout_checks.h"
#include "format/quote.h"
#include "format/safetensors.h"

namespace lamina::format {
namespace {

// {"metadata": {...}, "weight_map": {"TENSOR": "FILE", ...}}
class IndexEvents : public JsonEvents {
 public:
  explicit IndexEvents(ShardIndex& index) : index_(index) {}

  bool null() override { return IsSkipped() || JsonEvents::null(); }
  bool boolean(bool flag) override { return IsSkipped() || JsonEvents::boolean(flag); }
  bool number_integer(number_integer_t n) override {
    return IsSkipped() || JsonEvents::number_integer(n);
  }
  bool number_unsigned(number_unsigned_t n) override {
    return IsSkipped() || JsonEvents::number_unsigned(n);
  }
  bool number_float(number_float_t n, const string_t& text) override {
    return IsSkipped() || JsonEvents::number_float(n, text);
  }

  bool string(string_t& file) override {
    if (!InMap()) return IsSkipped() || JsonEvents::string(file);
    if (file.empty() || file.front() == '.' || file.find('/') != std::string::npos ||
        file.find('\0') != std::string::npos) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{} is {}, which is not a plain file name", Where(), Quote(file)));
    }
    const auto [it, is_new] =
        numbers_.try_emplace(std::move(file), static_cast<uint32_t>(numbers_.size()));
    if (is_new) index_.files.push_back(it->first);
    index_.entries.push_back({std::move(key_), it->second});
    return true;
  }

  bool start_object(std::size_t) override { return Enter(); }
  bool start_array(std::size_t) override {
    return IsSkipped() ? Enter() : JsonEvents::start_array(0);
  }
  bool end_array() override { return Leave(); }
  bool end_object() override { return Leave(); }

  bool key(string_t& key) override {
    if (depth_ == 1) {
      section_ = std::move(key);
      if (section_ == "weight_map" && std::exchange(has_map_, true)) {
        return Fail(Code::kInvalidArgument, "weight_map appears twice");
      }
    } else {
      key_ = std::move(key);
    }
    return true;
  }

  bool has_map() const { return has_map_; }

 protected:
  std::string Where() const override {
    if (depth_ == 0) return "the index";
    return depth_ == 1 ? section_ : "weight_map: the file of tensor " + Quote(key_);
  }

 private:
  bool InMap() const { return depth_ == 2 && section_ == "weight_map"; }
  bool IsSkipped() const { return depth_ >= 1 && section_ != "weight_map"; }

  bool Enter() {
    if (InMap()) return JsonEvents::start_object(0);
    if (++depth_ > kMaxJsonDepth) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("JSON nests deeper than {} levels", kMaxJsonDepth));
    }
    return true;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  ShardIndex& index_;
  std::map<std::string, uint32_t> numbers_;
  int depth_ = 0;
  bool has_map_ = false;
  std::string section_;
  std::string key_;
};

}  // namespace

Result<ShardIndex> ParseShardIndex(std::string_view text) {
  return GuardMemory([&]() -> Result<ShardIndex> {
    ShardIndex index;
    // An entry has four quotes; exact growth keeps memory within eight times the text.
    index.entries.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '"')) / 4);
    IndexEvents events(index);
    TRY(events.Run(text));
    if (!events.has_map()) return Error(Code::kInvalidArgument, "weight_map is missing");
    return index;
  });
}

}  // namespace lamina::format
