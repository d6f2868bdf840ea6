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

  bool OnUnsigned(uint64_t number) override {
    return IsSkipped() || JsonEvents::OnUnsigned(number);
  }
  bool OnOther(std::string_view what) override { return IsSkipped() || JsonEvents::OnOther(what); }

  bool OnString(std::string file) override {
    if (!InMap()) return IsSkipped() || JsonEvents::OnString(std::move(file));
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

  bool OnObject() override { return Enter(); }
  bool OnArray() override { return IsSkipped() ? Enter() : JsonEvents::OnArray(); }
  bool OnArrayEnd() override { return Leave(); }
  bool OnObjectEnd() override { return Leave(); }

  bool OnKey(std::string key) override {
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
    if (InMap()) return JsonEvents::OnObject();
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
    TRY(ParseJsonEvents(text, events));
    if (!events.has_map()) return Error(Code::kInvalidArgument, "weight_map is missing");
    return index;
  });
}

}  // namespace lamina::format
