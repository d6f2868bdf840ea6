#include "quant/type.h"

#include "quant/all_types.h"

namespace lamina::quant {

// Each is defined in a generated unit of its own (src/quant/CMakeLists.txt).
#define LAMINA_DECLARE(name) TypeInfo MakeTypeInfo_##name();
LAMINA_QUANT_TYPES(LAMINA_DECLARE)
#undef LAMINA_DECLARE

std::span<const TypeInfo> Types() {
#define LAMINA_ROW(name) MakeTypeInfo_##name(),
  static const TypeInfo kTypes[] = {LAMINA_QUANT_TYPES(LAMINA_ROW)};
#undef LAMINA_ROW
  return kTypes;
}

const TypeInfo* FindType(uint32_t ggml_id) {
  for (const TypeInfo& type : Types()) {
    if (type.ggml_id == ggml_id) return &type;
  }
  return nullptr;
}

const TypeInfo* FindType(std::string_view name) {
  for (const TypeInfo& type : Types()) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

TypeIndex IndexOf(const TypeInfo& type) { return TypeIndex(&type - Types().data()); }

}  // namespace lamina::quant
