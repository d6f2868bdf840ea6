#include "format/gguf_writer.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>
#include <type_traits>

#include "base/checked.h"
#include "format/layout_checks.h"
#include "format/quote.h"

namespace lamina::format {
namespace {

constexpr std::string_view kAlignmentKey = "general.alignment";

template <class T>
void Append(std::string& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void AppendString(std::string& out, std::string_view text) {
  Append<uint64_t>(out, text.size());
  out += text;
}

template <class Stored, class Wide>
Result<> AppendExactly(std::string& out, Wide value) {
  const auto stored = static_cast<Stored>(value);
  bool is_exact = static_cast<Wide>(stored) == value;
  if constexpr (std::is_floating_point_v<Wide>) is_exact = is_exact || std::isnan(value);
  if (!is_exact) return Error(Code::kInvalidArgument, "{} does not fit its type", value);
  Append(out, stored);
  return {};
}

tl::unexpected<Status> Mismatch(GgufValueType type) {
  return Error(Code::kInvalidArgument, "its value does not go with value type {}",
               static_cast<uint32_t>(type));
}

Result<> AppendElement(std::string& out, GgufValueType type, uint64_t value) {
  switch (type) {
    case GgufValueType::kUint8:
      return AppendExactly<uint8_t>(out, value);
    case GgufValueType::kUint16:
      return AppendExactly<uint16_t>(out, value);
    case GgufValueType::kUint32:
      return AppendExactly<uint32_t>(out, value);
    case GgufValueType::kUint64:
      return AppendExactly<uint64_t>(out, value);
    default:
      return Mismatch(type);
  }
}

Result<> AppendElement(std::string& out, GgufValueType type, int64_t value) {
  switch (type) {
    case GgufValueType::kInt8:
      return AppendExactly<int8_t>(out, value);
    case GgufValueType::kInt16:
      return AppendExactly<int16_t>(out, value);
    case GgufValueType::kInt32:
      return AppendExactly<int32_t>(out, value);
    case GgufValueType::kInt64:
      return AppendExactly<int64_t>(out, value);
    default:
      return Mismatch(type);
  }
}

Result<> AppendElement(std::string& out, GgufValueType type, double value) {
  switch (type) {
    case GgufValueType::kFloat32:
      return AppendExactly<float>(out, value);
    case GgufValueType::kFloat64:
      return AppendExactly<double>(out, value);
    default:
      return Mismatch(type);
  }
}

Result<> AppendElement(std::string& out, GgufValueType type, bool value) {
  if (type != GgufValueType::kBool) return Mismatch(type);
  Append<uint8_t>(out, value ? 1 : 0);
  return {};
}

Result<> AppendElement(std::string& out, GgufValueType type, const std::string& value) {
  if (type != GgufValueType::kString) return Mismatch(type);
  AppendString(out, value);
  return {};
}

template <class T>
Result<> AppendValue(std::string& out, GgufValueType type, const T& value) {
  Append(out, static_cast<uint32_t>(type));
  return AppendElement(out, type, value);
}

template <class T>
Result<> AppendValue(std::string& out, GgufValueType type, const std::vector<T>& values) {
  Append(out, static_cast<uint32_t>(GgufValueType::kArray));
  Append(out, static_cast<uint32_t>(type));
  Append<uint64_t>(out, values.size());
  for (const T& value : values) TRY(AppendElement(out, type, value));
  return {};
}

GgufValueType NarrowestOf(const std::string&) { return GgufValueType::kString; }
GgufValueType NarrowestOf(bool) { return GgufValueType::kBool; }
GgufValueType NarrowestOf(uint64_t value) {
  return value <= std::numeric_limits<uint32_t>::max() ? GgufValueType::kUint32
                                                       : GgufValueType::kUint64;
}
GgufValueType NarrowestOf(int64_t value) {
  return value == static_cast<int32_t>(value) ? GgufValueType::kInt32 : GgufValueType::kInt64;
}
GgufValueType NarrowestOf(double value) {
  const bool is_narrow =
      static_cast<double>(static_cast<float>(value)) == value || std::isnan(value);
  return is_narrow ? GgufValueType::kFloat32 : GgufValueType::kFloat64;
}
template <class T>
GgufValueType NarrowestOf(const std::vector<T>& values) {
  GgufValueType type = NarrowestOf(T());
  for (const T& value : values) {
    if (NarrowestOf(value) != type) return NarrowestOf(value);  // the wide one
  }
  return type;
}

std::string Padding(uint64_t n_bytes, uint64_t alignment) {
  return std::string((alignment - n_bytes % alignment) % alignment, '\0');
}

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

void GgufWriter::Set(std::string key, Value value) {
  const GgufValueType type = std::visit([](const auto& v) { return NarrowestOf(v); }, value);
  Set(std::move(key), type, std::move(value));
}

void GgufWriter::Set(std::string key, GgufValueType type, Value value) {
  entries_.push_back({std::move(key), type, std::move(value)});
}

void GgufWriter::AddTensor(std::string name, const quant::TypeInfo& type,
                           std::vector<int64_t> shape) {
  rows_.push_back({std::move(name), &type, std::move(shape)});
}

Result<uint64_t> GgufWriter::Alignment() const {
  for (const Entry& entry : entries_) {
    if (entry.key != kAlignmentKey) continue;
    const auto* alignment = std::get_if<uint64_t>(&entry.value);
    if (!alignment || !IsGgufAlignment(*alignment)) {
      return Error(Code::kInvalidArgument, "{} must be a power of two from 8 to {}", kAlignmentKey,
                   kGgufMaxAlignment);
    }
    return *alignment;
  }
  return kGgufDefaultAlignment;
}

Result<std::string> GgufWriter::Header() const {
  const uint64_t alignment = TRY(Alignment());
  std::string out(kGgufMagic);
  Append(out, version_);
  Append<uint64_t>(out, rows_.size());
  Append<uint64_t>(out, entries_.size());
  std::set<std::string_view> names;
  for (const Entry& entry : entries_) {
    if (entry.key.empty() || !names.insert(entry.key).second) {
      return Error(Code::kInvalidArgument, "metadata key {} is empty or appears twice",
                   Quote(entry.key));
    }
    AppendString(out, entry.key);
    const auto appended = std::visit(
        [&](const auto& value) { return AppendValue(out, entry.type, value); }, entry.value);
    if (!appended) return Error(appended.error().Prefixed("metadata key " + Quote(entry.key)));
  }
  names.clear();
  uint64_t offset = 0;
  for (const Row& row : rows_) {
    const auto n_bytes = TensorBytes(*row.type, row.shape);
    if (!n_bytes) return Error(n_bytes.error().Prefixed("tensor " + Quote(row.name)));
    if (row.name.empty() || row.name.size() > kGgufMaxTensorNameBytes ||
        !names.insert(row.name).second) {
      return Error(Code::kInvalidArgument, "tensor name {} is empty, too long or appears twice",
                   Quote(row.name));
    }
    if (row.shape.empty() || row.shape.size() > kGgufMaxDimensions) {
      return Error(Code::kInvalidArgument, "tensor {} has {} dimensions; 1 to {} are allowed",
                   Quote(row.name), row.shape.size(), kGgufMaxDimensions);
    }
    AppendString(out, row.name);
    Append(out, static_cast<uint32_t>(row.shape.size()));
    for (auto it = row.shape.rbegin(); it != row.shape.rend(); ++it) {
      Append(out, static_cast<uint64_t>(*it));
    }
    Append(out, row.type->ggml_id);
    Append(out, offset);
    const auto end = CheckedAdd(offset, *n_bytes);
    const auto next = end ? CheckedAlignUp(*end, alignment) : std::nullopt;
    if (!next) return Error(Code::kInvalidArgument, "the file would not fit in 64 bits");
    offset = *next;
  }
  out += Padding(out.size(), alignment);
  return out;
}

Result<> GgufWriter::Write(const std::string& path,
                           FunctionRef<Result<Bytes>(size_t index)> data) const {
  const uint64_t alignment = TRY(Alignment());
  AtomicFile file = TRY(AtomicFile::Create(path));
  TRY(file.Write(AsBytes(TRY(Header()))));
  for (size_t i = 0; i < rows_.size(); ++i) {
    const Bytes bytes = TRY(data(i));
    const uint64_t n_expected = TRY(TensorBytes(*rows_[i].type, rows_[i].shape));
    if (bytes.size() != n_expected) {
      return Error(Code::kInvalidArgument, "tensor {} has {} bytes of data, not {}",
                   Quote(rows_[i].name), bytes.size(), n_expected);
    }
    TRY(file.Write(bytes));
    TRY(file.Write(AsBytes(Padding(bytes.size(), alignment))));
  }
  return file.Commit();
}

}  // namespace lamina::format
