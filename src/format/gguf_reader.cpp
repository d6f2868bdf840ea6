#include <algorithm>

#include "base/checked.h"
#include "format/bounded_reader.h"
#include "format/gguf.h"
#include "format/layout_checks.h"
#include "format/quote.h"

namespace lamina::format {
namespace {

constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;        // key, type, a one-byte value
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 12;  // name, rank, a dimension, type, offset

// Numbers in an array, widened. The count was checked against the file before.
template <class Stored, class Wide>
Result<Value> ReadNumbers(BoundedReader& in, uint64_t count) {
  const Bytes raw = TRY(in.Take(count * sizeof(Stored), "its elements"));
  std::vector<Wide> numbers(count);
  for (uint64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, raw.data() + i * sizeof stored, sizeof stored);
    numbers[i] = static_cast<Wide>(stored);
  }
  return Value(std::move(numbers));
}

Result<Value> ReadBools(BoundedReader& in, uint64_t count) {
  const Bytes raw = TRY(in.Take(count, "its elements"));
  std::vector<bool> flags(count);
  for (uint64_t i = 0; i < count; ++i) {
    if (raw[i] > 1) {
      return Error(Code::kInvalidArgument, "element {} is the bool {}, which is neither 0 nor 1", i,
                   raw[i]);
    }
    flags[i] = raw[i] != 0;
  }
  return Value(std::move(flags));
}

Result<Value> ReadStrings(BoundedReader& in, uint64_t count) {
  std::vector<std::string> texts;
  texts.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    texts.emplace_back(TRY(in.ReadString(in.remaining(), "an element")));
  }
  return Value(std::move(texts));
}

uint64_t StoredBytes(GgufValueType type) {
  switch (type) {
    case GgufValueType::kUint8:
    case GgufValueType::kInt8:
    case GgufValueType::kBool:
      return 1;
    case GgufValueType::kUint16:
    case GgufValueType::kInt16:
      return 2;
    case GgufValueType::kUint32:
    case GgufValueType::kInt32:
    case GgufValueType::kFloat32:
      return 4;
    case GgufValueType::kUint64:
    case GgufValueType::kInt64:
    case GgufValueType::kFloat64:
    case GgufValueType::kString:  // at least its length
      return 8;
    case GgufValueType::kArray:
      break;
  }
  return 0;
}

tl::unexpected<Status> UnknownValueType(uint32_t type) {
  return Error(Code::kInvalidArgument, "its value type is {}; known are 0 to 12", type);
}

Result<Value> ReadArray(BoundedReader& in) {
  const uint32_t type_number = TRY(in.Read<uint32_t>("its element type"));
  const auto type = static_cast<GgufValueType>(type_number);
  if (type == GgufValueType::kArray) {
    return Error(Code::kUnimplemented, "it is an array of arrays, which is not supported");
  }
  if (StoredBytes(type) == 0) return UnknownValueType(type_number);
  const uint64_t count = TRY(in.ReadCount(StoredBytes(type), "its element count"));
  switch (type) {
    case GgufValueType::kUint8:
      return ReadNumbers<uint8_t, uint64_t>(in, count);
    case GgufValueType::kUint16:
      return ReadNumbers<uint16_t, uint64_t>(in, count);
    case GgufValueType::kUint32:
      return ReadNumbers<uint32_t, uint64_t>(in, count);
    case GgufValueType::kUint64:
      return ReadNumbers<uint64_t, uint64_t>(in, count);
    case GgufValueType::kInt8:
      return ReadNumbers<int8_t, int64_t>(in, count);
    case GgufValueType::kInt16:
      return ReadNumbers<int16_t, int64_t>(in, count);
    case GgufValueType::kInt32:
      return ReadNumbers<int32_t, int64_t>(in, count);
    case GgufValueType::kInt64:
      return ReadNumbers<int64_t, int64_t>(in, count);
    case GgufValueType::kFloat32:
      return ReadNumbers<float, double>(in, count);
    case GgufValueType::kFloat64:
      return ReadNumbers<double, double>(in, count);
    case GgufValueType::kBool:
      return ReadBools(in, count);
    case GgufValueType::kString:
      return ReadStrings(in, count);
    case GgufValueType::kArray:
      break;
  }
  return UnknownValueType(type_number);
}

template <class Stored, class Wide>
Result<Value> ReadNumber(BoundedReader& in) {
  return Value(static_cast<Wide>(TRY(in.Read<Stored>("its value"))));
}

Result<Value> ReadValue(BoundedReader& in, uint32_t type_number) {
  switch (static_cast<GgufValueType>(type_number)) {
    case GgufValueType::kUint8:
      return ReadNumber<uint8_t, uint64_t>(in);
    case GgufValueType::kUint16:
      return ReadNumber<uint16_t, uint64_t>(in);
    case GgufValueType::kUint32:
      return ReadNumber<uint32_t, uint64_t>(in);
    case GgufValueType::kUint64:
      return ReadNumber<uint64_t, uint64_t>(in);
    case GgufValueType::kInt8:
      return ReadNumber<int8_t, int64_t>(in);
    case GgufValueType::kInt16:
      return ReadNumber<int16_t, int64_t>(in);
    case GgufValueType::kInt32:
      return ReadNumber<int32_t, int64_t>(in);
    case GgufValueType::kInt64:
      return ReadNumber<int64_t, int64_t>(in);
    case GgufValueType::kFloat32:
      return ReadNumber<float, double>(in);
    case GgufValueType::kFloat64:
      return ReadNumber<double, double>(in);
    case GgufValueType::kBool: {
      const uint8_t flag = TRY(in.Read<uint8_t>("its value"));
      if (flag > 1) {
        return Error(Code::kInvalidArgument, "it is the bool {}, which is neither 0 nor 1", flag);
      }
      return Value(flag != 0);
    }
    case GgufValueType::kString:
      return Value(std::string(TRY(in.ReadString(in.remaining(), "its value"))));
    case GgufValueType::kArray:
      return ReadArray(in);
  }
  return UnknownValueType(type_number);
}

Result<> ReadEntry(BoundedReader& in, uint64_t index, GgufFile& file) {
  const std::string_view key = TRY(in.ReadString(kGgufMaxKeyBytes, "the name of a metadata key"));
  if (key.empty()) return Error(Code::kInvalidArgument, "metadata key {} has no name", index);
  if (file.metadata.Find(key)) {
    return Error(Code::kInvalidArgument, "metadata key {} appears twice", Quote(key));
  }
  const uint32_t type = TRY(in.Read<uint32_t>("the type of a metadata value"));
  auto value = ReadValue(in, type);
  if (!value) return Error(value.error().Prefixed("metadata key " + Quote(key)));
  if (key == "general.alignment") {
    if (type != static_cast<uint32_t>(GgufValueType::kUint32)) {
      return Error(Code::kInvalidArgument, "general.alignment has value type {}, not 4 (uint32)",
                   type);
    }
    const uint64_t alignment = std::get<uint64_t>(*value);
    if (!IsGgufAlignment(alignment)) {
      return Error(Code::kInvalidArgument,
                   "general.alignment is {}; it must be a power of two from 8 to {}", alignment,
                   kGgufMaxAlignment);
    }
    file.alignment = alignment;
  }
  file.metadata.Set(std::string(key), std::move(*value));
  return {};
}

// A row of the tensor table. `data` stays empty until the place of the data section is known.
Result<Tensor> ReadTensorRow(BoundedReader& in) {
  const std::string_view name = TRY(in.ReadString(kGgufMaxTensorNameBytes, "the name of a tensor"));
  if (name.empty()) {
    return Error(Code::kInvalidArgument, "a tensor at offset {} has no name", in.offset());
  }
  const auto read_fields = [&]() -> Result<Tensor> {
    const uint32_t n_dimensions = TRY(in.Read<uint32_t>("its number of dimensions"));
    if (n_dimensions < 1 || n_dimensions > kGgufMaxDimensions) {
      return Error(Code::kInvalidArgument, "it has {} dimensions; 1 to {} are allowed",
                   n_dimensions, kGgufMaxDimensions);
    }
    std::vector<int64_t> shape(n_dimensions);
    for (uint32_t i = n_dimensions; i-- > 0;) {  // stored innermost first
      shape[i] = static_cast<int64_t>(TRY(in.Read<uint64_t>("its dimensions")));
    }
    const quant::TypeInfo* type = TRY(FindTensorType(TRY(in.Read<uint32_t>("its type"))));
    const uint64_t offset = TRY(in.Read<uint64_t>("its offset"));
    return Tensor{std::string(name), type, std::move(shape), {}, 0, offset};
  };
  auto tensor = read_fields();
  if (!tensor) return Error(tensor.error().Prefixed("tensor " + Quote(name)));
  return tensor;
}

Result<> LocateTensor(Bytes bytes, const GgufFile& file, Tensor& tensor) {
  const uint64_t n_bytes = TRY(TensorBytes(*tensor.type, tensor.shape));
  if (tensor.offset % file.alignment != 0) {
    return Error(Code::kInvalidArgument, "its offset {} is not a multiple of the alignment {}",
                 tensor.offset, file.alignment);
  }
  const auto begin = CheckedAdd(file.data_offset, tensor.offset);
  const auto end = begin ? CheckedAdd(*begin, n_bytes) : std::nullopt;
  if (!end || *end > bytes.size()) {
    return Error(Code::kInvalidArgument,
                 "its {} bytes at offset {} of the data do not lie in the file, which has {} bytes "
                 "(data begin at {}); it is damaged or cut off",
                 n_bytes, tensor.offset, bytes.size(), file.data_offset);
  }
  tensor.offset = *begin;
  tensor.data = bytes.subspan(*begin, n_bytes);
  return {};
}

Result<uint32_t> ReadVersion(BoundedReader& in) {
  const Bytes magic = TRY(in.Take(kGgufMagic.size(), "the magic number"));
  if (!std::equal(magic.begin(), magic.end(), kGgufMagic.begin())) {
    return Error(Code::kInvalidArgument,
                 "this is not a GGUF file: it does not begin with \"GGUF\"");
  }
  const uint32_t version = TRY(in.Read<uint32_t>("the version"));
  if (version == 2 || version == 3) return version;
  if (version != 0 && (version & 0xffff) == 0) {
    return Error(Code::kUnimplemented,
                 "this GGUF file is big-endian; only little-endian ones are supported");
  }
  return Error(Code::kUnimplemented, "GGUF version {} is not supported; supported are 2 and 3",
               version);
}

Result<GgufFile> Parse(Bytes bytes) {
  BoundedReader in(bytes);
  GgufFile file;
  file.version = TRY(ReadVersion(in));
  file.alignment = kGgufDefaultAlignment;
  const uint64_t n_tensors = TRY(in.ReadCount(kMinTensorBytes, "the number of tensors"));
  const uint64_t n_entries = TRY(in.ReadCount(kMinEntryBytes, "the number of metadata keys"));
  for (uint64_t i = 0; i < n_entries; ++i) TRY(ReadEntry(in, i, file));

  TRY(in.CheckCount(n_tensors, kMinTensorBytes, "the number of tensors"));
  file.tensors.reserve(n_tensors);
  for (uint64_t i = 0; i < n_tensors; ++i) file.tensors.push_back(TRY(ReadTensorRow(in)));

  // A file without tensors (a vocabulary) may end before the padding of its header.
  const auto data_offset = CheckedAlignUp(in.offset(), file.alignment);
  file.data_offset = data_offset ? *data_offset : bytes.size();
  for (Tensor& tensor : file.tensors) {
    auto located = LocateTensor(bytes, file, tensor);
    if (!located) return Error(located.error().Prefixed("tensor " + Quote(tensor.name)));
  }
  TRY(CheckTensors(file.tensors, Gaps::kAllowed, file.data_offset, bytes.size()));
  return file;
}

}  // namespace

Result<GgufFile> ParseGguf(Bytes file) {
  return GuardMemory([&] { return Parse(file); });
}

}  // namespace lamina::format
