#include "kernels/dispatch.h"

#include <cstdlib>
#include <string>

namespace lamina::kernels {

// isa_list.inc is made from src/kernels/isa.cmake: LAMINA_ISA_ROW(name, predicate over `cpu`), best
// first.
#define LAMINA_ISA_ROW(name, predicate) extern const Table kTable_##name##_;
#include "kernels/isa_list.inc"
#undef LAMINA_ISA_ROW

std::vector<const Table*> TablesFor([[maybe_unused]] const Cpu& cpu) {
  std::vector<const Table*> tables;
#define LAMINA_ISA_ROW(name, predicate) \
  if (predicate) tables.push_back(&kTable_##name##_);
#include "kernels/isa_list.inc"
#undef LAMINA_ISA_ROW
  return tables;
}

std::span<const Table* const> Available() {
  static const std::vector<const Table*> available = TablesFor(DetectCpu());
  return available;
}

Result<const Table*> Select(std::string_view isa) {
  const char* variable = std::getenv("LAMINA_ISA");
  const bool from_environment = isa.empty() && variable != nullptr;
  if (from_environment) isa = variable;
  if (isa.empty()) return Available().front();
  std::string names;
  for (const Table* table : Available()) {
    if (isa == table->isa) return table;
    if (!names.empty()) names += ", ";
    names += table->isa;
  }
  return Error(Code::kInvalidArgument,
               "{} \"{}\" is not an instruction set of this machine; it has: {}",
               from_environment ? "LAMINA_ISA" : "isa", isa, names);
}

}  // namespace lamina::kernels
