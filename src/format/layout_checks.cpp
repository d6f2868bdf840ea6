#include "format/layout_checks.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "base/checked.h"
#include "format/quote.h"

namespace lamina::format {
namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 42;

// Names of GGUF's type numbers, to say what a file holds that this build cannot read.
constexpr std::string_view kGgmlTypeNames[] = {
    "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
    "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
    "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
    "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
    "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4"};

std::string SupportedTypes() {
  std::string names;
  for (const quant::TypeInfo& type : quant::Types()) {
    if (!names.empty()) names += ", ";
    names += type.name;
  }
  return names;
}

std::vector<uint32_t> SortedIndices(size_t count, auto less) {
  std::vector<uint32_t> order(count);
  for (uint32_t i = 0; i < count; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), less);
  return order;
}

}  // namespace

Result<const quant::TypeInfo*> FindTensorType(uint32_t ggml_id) {
  if (const quant::TypeInfo* type = quant::FindType(ggml_id)) return type;
  const std::string_view name =
      ggml_id < std::size(kGgmlTypeNames) ? kGgmlTypeNames[ggml_id] : "unknown";
  return Error(Code::kUnimplemented, "its type {} ({}) is not supported; supported are {}", ggml_id,
               name, SupportedTypes());
}

Result<const quant::TypeInfo*> FindTensorType(std::string_view name) {
  if (const quant::TypeInfo* type = quant::FindType(name)) return type;
  return Error(Code::kUnimplemented, "its type {} is not supported; supported are {}", Quote(name),
               SupportedTypes());
}

Result<uint64_t> TensorBytes(const quant::TypeInfo& type, std::span<const int64_t> shape) {
  uint64_t n_values = 1;
  for (const int64_t dimension : shape) {
    if (dimension < 1 || dimension > kMaxDimension) {
      return Error(Code::kInvalidArgument, "it has a dimension of {}; 1 to 2^42 are allowed",
                   static_cast<uint64_t>(dimension));
    }
    const auto product = CheckedMul(n_values, static_cast<uint64_t>(dimension));
    if (!product) {
      return Error(Code::kInvalidArgument, "its dimensions' product does not fit in 64 bits");
    }
    n_values = *product;
  }
  const uint64_t n_cols = shape.empty() ? 1 : static_cast<uint64_t>(shape.back());
  if (n_cols % type.block_values != 0) {
    return Error(Code::kInvalidArgument,
                 "its rows of {} values are not whole blocks of {} values, as type {} demands",
                 n_cols, type.block_values, type.name);
  }
  const auto n_bytes = CheckedMul(n_values / type.block_values, type.block_bytes);
  if (!n_bytes) return Error(Code::kInvalidArgument, "its bytes do not fit in 64 bits");
  return *n_bytes;
}

Result<> CheckTensors(std::span<const Tensor> tensors, Gaps gaps, uint64_t begin, uint64_t end) {
  const auto by_name = SortedIndices(
      tensors.size(), [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
  for (size_t i = 1; i < by_name.size(); ++i) {
    if (tensors[by_name[i]].name == tensors[by_name[i - 1]].name) {
      return Error(Code::kInvalidArgument, "tensor {} appears twice",
                   Quote(tensors[by_name[i]].name));
    }
  }
  const auto by_offset = SortedIndices(tensors.size(), [&](uint32_t a, uint32_t b) {
    return tensors[a].offset < tensors[b].offset;
  });
  uint64_t covered = begin;
  for (const uint32_t i : by_offset) {
    const Tensor& tensor = tensors[i];
    if (tensor.offset < covered) {
      return Error(Code::kInvalidArgument, "tensor {}: its offset {} lies inside another tensor",
                   Quote(tensor.name), tensor.offset);
    }
    if (gaps == Gaps::kForbidden && tensor.offset != covered) {
      return Error(Code::kInvalidArgument,
                   "tensor {}: {} bytes before its offset {} belong to none", Quote(tensor.name),
                   tensor.offset - covered, tensor.offset);
    }
    covered = tensor.offset + tensor.data.size();
  }
  if (gaps == Gaps::kForbidden && covered != end) {
    return Error(Code::kInvalidArgument, "the last {} bytes of the file belong to no tensor",
                 end - covered);
  }
  return {};
}

}  // namespace lamina::format
