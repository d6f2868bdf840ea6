#include <algorithm>
#include <array>
#include <optional>

#include "base/checked.h"
#include "format/bounded_reader.h"
#include "format/json_events.h"
#include "format/layout_checks.h"
#include "format/quote.h"
#include "format/safetensors.h"

namespace lamina::format {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::array<std::string_view, 3> kDtypes = {"F32", "F16", "BF16"};

// {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {...}}
class HeaderEvents : public JsonEvents {
 public:
  HeaderEvents(Bytes data, uint64_t data_offset, std::vector<Tensor>& tensors)
      : data_(data), data_offset_(data_offset), tensors_(tensors) {}

  bool OnObject() override {
    if (level_ == Level::kOutside) {
      level_ = Level::kHeader;
      return true;
    }
    if (level_ != Level::kHeader) return JsonEvents::OnObject();
    level_ = name_ == kMetadataKey ? Level::kMetadata : Level::kTensor;
    field_.clear();
    type_ = nullptr;
    shape_.reset();
    offsets_.reset();
    return true;
  }

  bool OnKey(std::string key) override {
    if (level_ == Level::kHeader) {
      if (key.empty()) return Fail(Code::kInvalidArgument, "a tensor has no name");
      if (key == kMetadataKey && std::exchange(has_metadata_, true)) {
        return Fail(Code::kInvalidArgument, "__metadata__ appears twice");
      }
      name_ = std::move(key);
    } else {
      field_ = std::move(key);
    }
    return true;
  }

  bool OnString(std::string text) override {
    if (level_ == Level::kMetadata) return true;
    if (level_ != Level::kTensor || field_ != "dtype") return JsonEvents::OnString(std::move(text));
    if (type_) return Twice();
    if (std::find(kDtypes.begin(), kDtypes.end(), text) == kDtypes.end()) {
      return Fail(Code::kUnimplemented,
                  fmt::format("tensor {}: its dtype {} is not supported; supported are {}, {}, {}",
                              Quote(name_), Quote(text), kDtypes[0], kDtypes[1], kDtypes[2]));
    }
    auto type = FindTensorType(text);
    if (!type) return Fail(type.error());
    type_ = *type;
    return true;
  }

  bool OnArray() override {
    if (level_ != Level::kTensor) return JsonEvents::OnArray();
    if (field_ != "shape" && field_ != "data_offsets") return JsonEvents::OnArray();
    auto& numbers = field_ == "shape" ? shape_ : offsets_;
    if (numbers) return Twice();
    numbers.emplace();
    level_ = Level::kNumbers;
    return true;
  }

  bool OnUnsigned(uint64_t number) override {
    if (level_ != Level::kNumbers) return JsonEvents::OnUnsigned(number);
    auto& numbers = field_ == "shape" ? *shape_ : *offsets_;
    const size_t max_count = field_ == "shape" ? kSafetensorsMaxRank : 2;
    if (numbers.size() == max_count) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{} has more than {} numbers", Where(), max_count));
    }
    numbers.push_back(number);
    return true;
  }

  bool OnArrayEnd() override {
    level_ = Level::kTensor;
    return true;
  }

  bool OnObjectEnd() override {
    if (level_ == Level::kHeader) {
      level_ = Level::kEnd;
      return true;
    }
    const bool is_tensor = level_ == Level::kTensor;
    level_ = Level::kHeader;
    if (!is_tensor) return true;
    auto tensor = MakeTensor();
    if (!tensor) return Fail(tensor.error().Prefixed("tensor " + Quote(name_)));
    tensors_.push_back(std::move(*tensor));
    return true;
  }

 protected:
  std::string Where() const override {
    switch (level_) {
      case Level::kOutside:
      case Level::kEnd:
        return "the header";
      case Level::kHeader:
        return "the entry " + Quote(name_);
      default:
        return "tensor " + Quote(name_) + ": the field " + Quote(field_);
    }
  }

 private:
  enum class Level { kOutside, kHeader, kMetadata, kTensor, kNumbers, kEnd };

  bool Twice() { return Fail(Code::kInvalidArgument, Where() + " appears twice"); }

  Result<Tensor> MakeTensor() {
    if (!type_) return Error(Code::kInvalidArgument, "dtype is missing");
    if (!shape_) return Error(Code::kInvalidArgument, "shape is missing");
    if (!offsets_ || offsets_->size() != 2) {
      return Error(Code::kInvalidArgument, "data_offsets must be two numbers");
    }
    const uint64_t begin = (*offsets_)[0];
    const uint64_t end = (*offsets_)[1];
    if (begin > end || end > data_.size()) {
      return Error(Code::kInvalidArgument,
                   "data_offsets [{}, {}] do not lie in the {} bytes of data; the file is damaged "
                   "or cut off",
                   begin, end, data_.size());
    }
    std::vector<int64_t> shape(shape_->begin(), shape_->end());
    const uint64_t n_bytes = TRY(TensorBytes(*type_, shape));
    if (n_bytes != end - begin) {
      return Error(Code::kInvalidArgument,
                   "data_offsets [{}, {}] hold {} bytes, but shape and dtype need {}", begin, end,
                   end - begin, n_bytes);
    }
    return Tensor{
        name_, type_, std::move(shape), data_.subspan(begin, n_bytes), 0, data_offset_ + begin};
  }

  Bytes data_;
  uint64_t data_offset_;
  std::vector<Tensor>& tensors_;
  Level level_ = Level::kOutside;
  bool has_metadata_ = false;
  std::string name_;
  std::string field_;
  const quant::TypeInfo* type_ = nullptr;
  std::optional<std::vector<uint64_t>> shape_;
  std::optional<std::vector<uint64_t>> offsets_;
};

Result<std::vector<Tensor>> Parse(Bytes file) {
  BoundedReader in(file);
  const uint64_t n_header_bytes = TRY(in.Read<uint64_t>("the header's length"));
  if (n_header_bytes > kSafetensorsMaxHeaderBytes) {
    return Error(Code::kInvalidArgument, "the header's length is {}; at most {} bytes are allowed",
                 n_header_bytes, kSafetensorsMaxHeaderBytes);
  }
  const Bytes header = TRY(in.Take(n_header_bytes, "the header"));
  if (header.empty() || header[0] != '{') {
    return Error(Code::kInvalidArgument, "the header does not begin with \"{{\"");
  }
  std::vector<Tensor> tensors;
  HeaderEvents events(file.subspan(in.offset()), in.offset(), tensors);
  auto run = ParseJsonEvents({reinterpret_cast<const char*>(header.data()), header.size()}, events);
  if (!run) return Error(run.error().Prefixed("the header"));
  TRY(CheckTensors(tensors, Gaps::kForbidden, in.offset(), file.size()));
  return tensors;
}

}  // namespace

Result<std::vector<Tensor>> ParseSafetensors(Bytes file) {
  return GuardMemory([&] { return Parse(file); });
}

}  // namespace lamina::format
