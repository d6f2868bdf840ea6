// From a source's name to complete, verified files in the library's folder of parts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/library.h"
#include "store/manifest.h"

namespace lamina::store {

/// One file of a model, synced and with its digest checked against what its source says.
struct FetchedFile {
  std::string part_path;  ///< Empty: the library has this blob already.
  std::string file_name;  ///< As the source calls it.
  std::string sha256;
  uint64_t bytes;
};

struct FetchedModel {
  std::string licence;
  std::vector<FetchedFile> files;
};

/// What a source's name means, before anything is fetched.
struct SourcePlan {
  enum class Kind { kCatalog, kPip, kUrl, kHub };
  Kind kind;
  std::string source;  ///< In one spelling.
  std::string name;    ///< The model's name unless the caller gives one; "name:tag".
};

/// Errors: kInvalidArgument for a name of no known form, kNotFound for one that is not in the
/// catalog.
Result<SourcePlan> PlanSource(const std::string& source);

/// Fetches; a kill leaves parts that the next call goes on with. Errors: as Library::Pull; a file
/// with a wrong digest is discarded.
Result<FetchedModel> Fetch(const SourcePlan& plan, const Layout& layout, ProgressCallback progress);

}  // namespace lamina::store
