// Builds files byte by byte, right or wrong, independently of the writer under test.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/file.h"
#include "format/gguf.h"

namespace lamina::format {

inline Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class ByteBuilder {
 public:
  template <class T>
  ByteBuilder& Number(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    bytes_.append(bytes, sizeof value);
    return *this;
  }
  ByteBuilder& Raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  ByteBuilder& Text(std::string_view text) { return Number<uint64_t>(text.size()).Raw(text); }
  ByteBuilder& GgufHeader(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
    return Raw("GGUF").Number(version).Number(n_tensors).Number(n_keys);
  }
  ByteBuilder& Key(std::string_view key, GgufValueType type) {
    return Text(key).Number(static_cast<uint32_t>(type));
  }
  /// dimensions: innermost first, as stored.
  ByteBuilder& TensorRow(std::string_view name, std::initializer_list<uint64_t> dimensions,
                         uint32_t type, uint64_t offset) {
    Text(name).Number(static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t dimension : dimensions) Number(dimension);
    return Number(type).Number(offset);
  }
  ByteBuilder& PadTo(size_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_ += '\0';
    return *this;
  }
  ByteBuilder& Zeros(size_t n_bytes) {
    bytes_.append(n_bytes, '\0');
    return *this;
  }

  const std::string& str() const { return bytes_; }
  Bytes bytes() const { return AsBytes(bytes_); }

 private:
  std::string bytes_;
};

/// A safetensors file: header length, header, data.
inline std::string SafetensorsFile(std::string_view header, size_t n_data_bytes) {
  return ByteBuilder().Text(header).Zeros(n_data_bytes).str();
}

}  // namespace lamina::format
