// Manifests: one JSON file per model of the library.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "store/library.h"

namespace lamina::store {

/// The folders of a library.
struct Layout {
  explicit Layout(const std::string& folder)
      : blobs(folder + "/blobs"),
        manifests(folder + "/manifests"),
        sets(folder + "/sets"),
        partial(folder + "/partial"),
        locks(folder + "/locks") {}

  std::string BlobPath(std::string_view sha256) const {
    return blobs + "/sha256-" + std::string(sha256);
  }

  std::string blobs;      ///< sha256-HEX: the bytes of that digest.
  std::string manifests;  ///< NAME@TAG.json.
  std::string sets;       ///< HEX/: links with the names that a model of several files needs.
  std::string partial;    ///< Pulls that are not complete.
  std::string locks;
};

/// What a model says of its licence, as printable ASCII: others are written as ?.
std::string PlainLicence(std::string_view text);

/// Reads one manifest. Errors: kNotFound, kDataLoss naming the manifest and the field.
Result<ModelInfo> ReadManifest(const Layout& layout, const std::string& name);

/// Writes one, whole or not at all. The caller holds the library's lock.
Result<> WriteManifest(const Layout& layout, const ModelInfo& info);

}  // namespace lamina::store
