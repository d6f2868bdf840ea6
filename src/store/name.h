// Names of models in the library.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lamina::store {

/// "name" or "name:tag" -> "name:tag" ("latest" where there is none). Parts are letters, digits
/// and ._- and begin with a letter or digit; up to three folders, divided by /, before the name.
/// Errors: kInvalidArgument for anything else, so a name is never a way out of a folder.
Result<std::string> ParseName(std::string_view name);

/// "hf.co/org/repo:q4" -> "hf.co+org+repo@q4.json": one plain file name, and back.
std::string ManifestFileName(std::string_view name);
Result<std::string> NameOfManifest(std::string_view file_name);

/// A valid name made of a file's name: its folder and ".gguf" left out, odd characters as "-".
std::string NameFromFile(std::string_view path);

}  // namespace lamina::store
