// What both formats demand of a tensor table.
#pragma once

#include <cstdint>
#include <new>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "format/model_source.h"

namespace lamina::format {

enum class Gaps { kAllowed, kForbidden };

/// The type with this GGUF number or name. Errors: kUnimplemented with the type's name, if it has
/// one, and those supported.
Result<const quant::TypeInfo*> FindTensorType(uint32_t ggml_id);
Result<const quant::TypeInfo*> FindTensorType(std::string_view name);

/// Bytes of a tensor. Errors: a dimension of 0 or above 2^42, a product that overflows, rows that
/// are not whole blocks.
Result<uint64_t> TensorBytes(const quant::TypeInfo& type, std::span<const int64_t> shape);

/// Names are unique, and data ranges, all within [begin, end) already, do not overlap; with
/// Gaps::kForbidden they also cover [begin, end) wholly.
Result<> CheckTensors(std::span<const Tensor> tensors, Gaps gaps, uint64_t begin, uint64_t end);

/// Runs a parser; running out of memory becomes kResourceExhausted. The message fits in the
/// string object, so that reporting allocates nothing.
template <class Parser>
auto GuardMemory(Parser&& parser) noexcept -> decltype(parser()) {
  try {
    return parser();
  } catch (const std::bad_alloc&) {
    return Error(Status(Code::kResourceExhausted, "out of memory"));
  } catch (const std::length_error&) {
    return Error(Status(Code::kResourceExhausted, "out of memory"));
  }
}

}  // namespace lamina::format
