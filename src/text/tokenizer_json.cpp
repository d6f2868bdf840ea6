#include "text/tokenizer_json.h"

#include <nlohmann/json.hpp>

#include "format/json.h"
#include "format/quote.h"
#include "text/json_stream.h"

namespace lamina::text {
namespace {

using nlohmann::json;

constexpr size_t kMaxRestValues = 400'000;  // about 80 bytes each

/// Builds `rest` and diverts the two lists.
class Events final : public JsonStream {
 public:
  Events(TokenizerJson& lists, json& rest) : lists_(lists), rest_(rest) {}

  bool null() override { return Scalar(nullptr); }
  bool boolean(bool value) override { return Scalar(value); }
  bool number_integer(number_integer_t value) override { return Scalar(value); }
  bool number_float(number_float_t value, const string_t&) override { return Scalar(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (list_ == List::kVocab) {
      lists_.vocab.emplace_back(std::move(key_), value);
      return true;
    }
    return Scalar(value);
  }
  bool string(string_t& value) override {
    if (list_ == List::kMerges) return AddMerge(value);
    if (list_ == List::kPair) return AddSide(value);
    return Scalar(std::move(value));
  }

  bool start_object(std::size_t) override {
    if (list_ != List::kNone) return BadListElement("an object");
    // model.vocab; a list of that name is another kind of model and goes into the rest.
    if (IsModelMember("vocab")) {
      list_ = List::kVocab;
      return true;
    }
    return Open(json::object());
  }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool end_object() override {
    if (list_ == List::kVocab) {
      list_ = List::kNone;
      return true;
    }
    open_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    if (list_ == List::kMerges) {
      list_ = List::kPair;
      sides_.clear();
      return true;
    }
    if (list_ != List::kNone) return BadListElement("an array");
    if (IsModelMember("merges")) {
      list_ = List::kMerges;
      return true;
    }
    return Open(json::array());
  }
  bool end_array() override {
    if (list_ == List::kPair) {
      list_ = List::kMerges;
      if (sides_.size() != 2) return BadListElement("an array of another length than 2");
      lists_.merges.emplace_back(std::move(sides_[0]), std::move(sides_[1]));
      return true;
    }
    if (list_ == List::kMerges) {
      list_ = List::kNone;
      return true;
    }
    open_.pop_back();
    return true;
  }

 private:
  enum class List { kNone, kVocab, kMerges, kPair };
  struct Level {
    json* value;
    std::string key;  ///< Under which it stands.
  };

  bool IsModelMember(std::string_view name) const {
    return open_.size() == 2 && open_[1].key == "model" && open_[1].value->is_object() &&
           key_ == name;
  }

  bool AddMerge(const std::string& merge) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos) {
      return Fail(fmt::format("model.merges[{}] is {}; it must be two tokens with a space",
                              lists_.merges.size(), format::Quote(merge)));
    }
    lists_.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    return true;
  }
  bool AddSide(std::string& side) {
    if (sides_.size() == 2) return BadListElement("an array of another length than 2");
    sides_.push_back(std::move(side));
    return true;
  }
  bool BadListElement(std::string_view what) {
    return Fail(list_ == List::kVocab
                    ? fmt::format("model.vocab[{}] must not be {}", format::Quote(key_), what)
                    : fmt::format("model.merges[{}] must not be {}", lists_.merges.size(), what));
  }

  bool Scalar(json value) {
    if (list_ != List::kNone) return BadListElement(value.type_name());
    return Place(std::move(value)) != nullptr;
  }
  bool Open(json value) {
    if (open_.size() >= static_cast<size_t>(format::kMaxJsonDepth)) {
      return Fail(fmt::format("JSON is nested deeper than {}", format::kMaxJsonDepth));
    }
    std::string own_key = key_;
    json* placed = Place(std::move(value));
    if (placed == nullptr) return false;
    open_.push_back({placed, std::move(own_key)});
    return true;
  }
  json* Place(json value) {
    if (++n_values_ > kMaxRestValues) {
      Fail(fmt::format("more than {} values beside the vocabulary and the merges", kMaxRestValues));
      return nullptr;
    }
    if (open_.empty()) {
      rest_ = std::move(value);
      return &rest_;
    }
    json& parent = *open_.back().value;
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  TokenizerJson& lists_;
  json& rest_;
  std::vector<Level> open_;
  std::string key_;
  List list_ = List::kNone;
  std::vector<std::string> sides_;
  size_t n_values_ = 0;
};

}  // namespace

Result<TokenizerJson> ReadTokenizerJson(std::string_view text, json& rest) {
  TokenizerJson lists;
  Events events(lists, rest);
  TRY(events.Run(text));
  return lists;
}

}  // namespace lamina::text
