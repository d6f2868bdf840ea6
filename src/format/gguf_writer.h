// Writes GGUF files: metadata, tensor table, aligned data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "format/gguf.h"
#include "format/metadata.h"
#include "quant/type.h"

namespace lamina::format {

/// Describes a file, then writes it; keys and tensors keep the order in which they were added.
/// What it writes, ParseGguf reads; what that refuses is an error here too.
class GgufWriter {
 public:
  /// 2 or 3: the layout is the same.
  explicit GgufWriter(uint32_t version = 3) : version_(version) {}

  /// Numbers are stored in 32 bits where that loses nothing, else in 64.
  void Set(std::string key, Value value);
  /// Stored as `type`: of the value, or of each element of an array.
  void Set(std::string key, GgufValueType type, Value value);

  /// shape: row-major, outermost first, 1 to 4 dimensions.
  void AddTensor(std::string name, const quant::TypeInfo& type, std::vector<int64_t> shape);

  /// Everything before the tensors' data, padded to the alignment. Errors: kInvalidArgument: a
  /// number that its type cannot hold, a shape that is not whole blocks, a name used twice.
  Result<std::string> Header() const;

  /// Writes the file so that it appears whole or not at all. `data(i)` gives the bytes of the i-th
  /// tensor, called once for each in order; they need to live until its next call.
  Result<> Write(const std::string& path, FunctionRef<Result<Bytes>(size_t index)> data) const;

 private:
  struct Entry {
    std::string key;
    GgufValueType type;
    Value value;
  };
  struct Row {
    std::string name;
    const quant::TypeInfo* type;
    std::vector<int64_t> shape;
  };

  Result<uint64_t> Alignment() const;

  uint32_t version_;
  std::vector<Entry> entries_;
  std::vector<Row> rows_;
};

}  // namespace lamina::format
