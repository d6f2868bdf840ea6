#include "store/library.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "format/model_source.h"
#include "format/quote.h"
#include "store/catalog.h"
#include "store/lock.h"
#include "store/manifest.h"
#include "store/name.h"
#include "store/whole.h"

namespace lamina::store {
namespace {

namespace fs = std::filesystem;

// Names of the manifests in a library; what a killed process left beside them is passed over.
std::vector<std::string> ManifestNames(const Layout& layout) {
  std::vector<std::string> names;
  for (const std::string& file_name : NamesIn(layout.manifests)) {
    auto name = NameOfManifest(file_name);
    if (name) names.push_back(std::move(*name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The model that is meant: the name as it is, or the only one with that name and another tag.
Result<std::string> FindName(const Layout& layout, const std::string& name) {
  const std::string full_name = TRY(ParseName(name));
  const std::vector<std::string> names = ManifestNames(layout);
  if (std::binary_search(names.begin(), names.end(), full_name)) return full_name;
  std::vector<std::string> similar;
  if (name.find(':') == name.npos) {
    for (const std::string& other : names) {
      if (other.starts_with(name + ":")) similar.push_back(other);
    }
  }
  if (similar.size() == 1) return similar[0];
  if (similar.size() > 1) {
    return Error(Code::kInvalidArgument, "{} may be {} or {}; give the whole name", name,
                 similar[0], similar[1]);
  }
  return Error(Code::kNotFound, "there is no model {} in the library; see lamina list", full_name);
}

Result<FileLock> LockLibrary(const Layout& layout) {
  TRY(MakeFolders(layout.manifests));
  TRY(MakeFolders(layout.locks));
  return FileLock::Acquire(layout.locks + "/library", [] { return true; });
}

// Blobs and sets that no manifest names. Nothing is removed where a manifest cannot be read.
Result<> RemoveUnused(const Layout& layout) {
  std::set<std::string> used;
  for (const std::string& name : ManifestNames(layout)) {
    const auto info = ReadManifest(layout, name);
    if (!info) return {};
    for (const ModelFile& file : info->files) used.insert(file.path);
    used.insert(fs::path(info->path).parent_path());
  }
  std::error_code error;
  for (const std::string& folder : {layout.blobs, layout.sets}) {
    for (const std::string& file_name : NamesIn(folder)) {
      const std::string path = folder + "/" + file_name;
      if (!used.contains(path)) fs::remove_all(path, error);
    }
  }
  return {};
}

// Other programs keep GGUF files under names of their own, such as a digest.
bool BeginsAsGguf(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  char magic[4] = {};
  return std::ifstream(path, std::ios::binary).read(magic, sizeof magic) &&
         std::string_view(magic, sizeof magic) == "GGUF";
}

bool IsModelPath(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return fs::exists(path + "/config.json", error);
  return path.ends_with(".gguf") ? fs::exists(path, error) : BeginsAsGguf(path);
}

// What to do about a MODEL that is neither.
tl::unexpected<Status> NoSuchModel(const std::string& name) {
  std::error_code error;
  if (fs::is_directory(name, error)) {
    return Error(Code::kNotFound, "{} is a folder without config.json", format::Quote(name));
  }
  if (name.ends_with(".gguf") || name.find('/') != name.npos) {
    return Error(Code::kNotFound,
                 "{} is neither a model of the library nor a .gguf file nor a folder with "
                 "config.json",
                 format::Quote(name));
  }
  if (const CatalogEntry* entry = FindInCatalog(name)) {
    return Error(Code::kNotFound, "{} is not here yet; run: lamina pull {}", entry->name,
                 entry->name);
  }
  return Error(Code::kNotFound,
               "there is no model {} in the library; see lamina list, or give the path of a .gguf "
               "file",
               format::Quote(name));
}

void DescribeGguf(const format::Metadata& metadata, ModelDetails& details) {
  details.architecture = metadata.GetStringOr("general.architecture", "").value_or("");
  const auto number = [&](std::string_view key) {
    return metadata.GetUint(details.architecture + "." + std::string(key)).value_or(0);
  };
  details.n_layers = number("block_count");
  details.n_ctx_train = number("context_length");
  details.d_model = number("embedding_length");
  const auto tokens = metadata.GetStrings("tokenizer.ggml.tokens");
  details.n_vocab = tokens ? (*tokens)->size() : number("vocab_size");
  details.has_chat_template = metadata.Find("tokenizer.chat_template") != nullptr;
  if (details.info.licence.empty()) {
    details.info.licence = metadata.GetStringOr("general.license", "").value_or("");
  }
}

void DescribeHuggingFace(const format::ModelSource& source, ModelDetails& details) {
  const nlohmann::json& config = source.config();
  const auto number = [&](const char* key) -> uint64_t {
    const auto it = config.find(key);
    return it != config.end() && it->is_number_unsigned() ? it->get<uint64_t>() : 0;
  };
  if (const auto it = config.find("model_type"); it != config.end() && it->is_string()) {
    details.architecture = it->get<std::string>();
  }
  details.n_layers = number("num_hidden_layers");
  details.n_ctx_train = number("max_position_embeddings");
  details.d_model = number("hidden_size");
  details.n_vocab = number("vocab_size");
  std::error_code error;
  details.has_chat_template = fs::exists(source.path() + "/chat_template.jinja", error);
}

}  // namespace

Result<> CheckWhole(const ModelInfo& info) {
  for (const ModelFile& file : info.files) {
    struct stat stats;
    const bool exists = stat(file.path.c_str(), &stats) == 0;
    if (exists && static_cast<uint64_t>(stats.st_size) == file.bytes) continue;
    if (!info.is_in_place) {
      return Error(Code::kDataLoss, "a file of {} is {}; pull it again", info.name,
                   exists ? "damaged" : "missing");
    }
    if (!exists) {
      return Error(Code::kNotFound,
                   "{}, which {} was imported from, is gone; put it back, or forget the model: "
                   "lamina rm {}",
                   format::Quote(file.path), info.name, info.name);
    }
    return Error(Code::kFailedPrecondition,
                 "{} has changed since {} was imported; remove and import it again",
                 format::Quote(file.path), info.name);
  }
  return {};
}

Result<std::string> Library::DefaultFolder() {
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data && data[0] == '/') return std::string(data) + "/lamina";
  const char* home = std::getenv("HOME");
  if (home && home[0] == '/') return std::string(home) + "/.local/share/lamina";
  return Error(Code::kFailedPrecondition,
               "neither XDG_DATA_HOME nor HOME is set, so there is no folder for models");
}

Result<std::vector<ModelInfo>> Library::List() const {
  const Layout layout(folder_);
  std::vector<ModelInfo> models;
  for (const std::string& name : ManifestNames(layout)) {
    auto info = ReadManifest(layout, name);
    if (!info && info.error().code() == Code::kNotFound) continue;  // removed meanwhile
    if (!info) return Error(info.error());
    models.push_back(std::move(*info));
  }
  return models;
}

Result<ModelDetails> Library::Show(const std::string& name_or_path) const {
  ModelDetails details{};
  const Layout layout(folder_);
  const auto name = FindName(layout, name_or_path);
  const std::string path = TRY(Resolve(name_or_path));
  const auto source = TRY(format::ModelSource::Open(path));
  if (name) {
    details.info = TRY(ReadManifest(layout, *name));
  } else {
    details.info.name = path;
    details.info.source = path;
    details.info.is_in_place = true;
    details.info.path = path;
    for (int i = 0; i < static_cast<int>(source->file_paths().size()); ++i) {
      details.info.files.push_back({source->file_paths()[i], source->file(i).bytes().size(), ""});
      details.info.bytes += details.info.files.back().bytes;
    }
  }
  std::map<std::string_view, uint64_t> bytes_of_type;
  for (const format::Tensor& tensor : source->tensors()) {
    uint64_t n_values = 1;
    for (const int64_t dimension : tensor.shape) n_values *= static_cast<uint64_t>(dimension);
    details.n_parameters += n_values;
    uint64_t& bytes = bytes_of_type[tensor.type->name];
    bytes += tensor.data.size();
    if (details.type.empty() || bytes > bytes_of_type[details.type]) {
      details.type = tensor.type->name;
    }
  }
  if (source->kind() == format::ModelSource::Kind::kGguf) {
    DescribeGguf(source->metadata(), details);
  } else {
    DescribeHuggingFace(*source, details);
  }
  return details;
}

Result<std::string> Library::FullName(const std::string& name) const {
  return FindName(Layout(folder_), name);
}

Result<> Library::Remove(const std::string& name) {
  const Layout layout(folder_);
  const std::string full_name = TRY(FindName(layout, name));
  const FileLock lock = TRY(LockLibrary(layout));
  const std::string path = layout.manifests + "/" + ManifestFileName(full_name);
  if (unlink(path.c_str()) != 0) return Error(ErrnoStatus(errno, "remove", path));
  TRY(SyncFolder(layout.manifests));
  return RemoveUnused(layout);
}

Result<ModelInfo> Library::Import(const std::string& path, const std::string& name) {
  const Layout layout(folder_);
  ModelInfo info{};
  info.name = TRY(ParseName(name.empty() ? NameFromFile(path) : name));
  std::error_code error;
  info.path = fs::canonical(path, error).string();
  if (error) return Error(ErrnoStatus(error.value(), "import", path));
  if (!IsModelPath(info.path)) return NoSuchModel(path);
  const auto source = TRY(format::ModelSource::Open(info.path));
  info.source = info.path;
  info.is_in_place = true;
  info.installed_unix_s = std::time(nullptr);
  info.licence = PlainLicence(source->metadata().GetStringOr("general.license", "").value_or(""));
  for (int i = 0; i < static_cast<int>(source->file_paths().size()); ++i) {
    info.files.push_back({source->file_paths()[i], source->file(i).bytes().size(), ""});
    info.bytes += info.files.back().bytes;
  }
  const FileLock lock = TRY(LockLibrary(layout));
  if (const auto other = ReadManifest(layout, info.name); other && other->path != info.path) {
    return Error(Code::kAlreadyExists,
                 "{} is here already, from {}; remove it first or give another "
                 "name",
                 info.name, other->source);
  }
  TRY(WriteManifest(layout, info));
  return info;
}

Result<ModelInfo> Library::Copy(const std::string& from, const std::string& to) {
  const Layout layout(folder_);
  const std::string from_name = TRY(FindName(layout, from));
  const std::string to_name = TRY(ParseName(to));
  const FileLock lock = TRY(LockLibrary(layout));
  ModelInfo info = TRY(ReadManifest(layout, from_name));
  if (access((layout.manifests + "/" + ManifestFileName(to_name)).c_str(), F_OK) == 0) {
    return Error(Code::kAlreadyExists, "{} is here already; remove it first", to_name);
  }
  info.name = to_name;
  TRY(WriteManifest(layout, info));
  return info;
}

Result<std::string> Library::Resolve(const std::string& name_or_path) const {
  const Layout layout(folder_);
  const auto name = FindName(layout, name_or_path);
  if (name) {
    const ModelInfo info = TRY(ReadManifest(layout, *name));
    TRY(CheckWhole(info));
    return info.path;
  }
  if (IsModelPath(name_or_path)) return name_or_path;
  if (ParseName(name_or_path) && name.error().code() == Code::kInvalidArgument) {
    return Error(name.error());  // ambiguous
  }
  return NoSuchModel(name_or_path);
}

}  // namespace lamina::store
