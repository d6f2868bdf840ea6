#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>

#include "base/file.h"
#include "format/model_source.h"
#include "format/quote.h"
#include "store/fetch.h"
#include "store/http.h"
#include "store/library.h"
#include "store/lock.h"
#include "store/manifest.h"
#include "store/name.h"
#include "store/sha256.h"
#include "store/whole.h"

namespace lamina::store {
namespace {

constexpr uint32_t kReadOnly = 0444;

// The names that the files of one model need to find each other.
std::string SetFolder(const Layout& layout, const std::vector<FetchedFile>& files) {
  std::string key;
  for (const FetchedFile& file : files) key += file.sha256 + " " + file.file_name + "\n";
  return layout.sets + "/" + Sha256Of(key);
}

Result<> LinkSet(const std::string& folder, const std::vector<FetchedFile>& files,
                 FunctionRef<std::string(const FetchedFile&)> target) {
  TRY(MakeFolders(folder));
  for (const FetchedFile& file : files) {
    const std::string link = folder + "/" + file.file_name;
    unlink(link.c_str());
    if (symlink(target(file).c_str(), link.c_str()) != 0) {
      return Error(ErrnoStatus(errno, "create", link));
    }
  }
  return SyncFolder(folder);
}

std::string PathBeforeInstall(const Layout& layout, const FetchedFile& file) {
  return file.part_path.empty() ? layout.BlobPath(file.sha256) : file.part_path;
}

// A file that is no model never gets into the library.
Result<> CheckOpens(const Layout& layout, const std::vector<FetchedFile>& files) {
  std::string path = PathBeforeInstall(layout, files[0]);
  std::string folder;
  if (files.size() > 1) {
    folder = layout.partial + "/" + SetFolder(layout, files).substr(layout.sets.size() + 1);
    TRY(LinkSet(folder, files,
                [&](const FetchedFile& file) { return PathBeforeInstall(layout, file); }));
    path = folder + "/" + files[0].file_name;
  }
  const auto opened = format::ModelSource::Open(path);
  std::error_code error;
  if (!folder.empty()) std::filesystem::remove_all(folder, error);
  if (opened) return {};
  for (const FetchedFile& file : files) {
    if (!file.part_path.empty()) DiscardPart(file.part_path);
  }
  std::string_view reason = opened.error().message();
  if (reason.starts_with(path + ": ")) reason.remove_prefix(path.size() + 2);
  return Error(opened.error().code(), "what was downloaded, {}, is not a usable model: {}",
               format::Quote(files[0].file_name), reason);
}

Result<> CheckNameIsFree(const Layout& layout, const SourcePlan& plan, const std::string& name) {
  const auto existing = ReadManifest(layout, name);
  if (!existing || existing->source == plan.source) return {};
  return Error(Code::kAlreadyExists,
               "{} is here already, from {}; remove it first or give another name", name,
               existing->source);
}

Result<> InstallBlob(const Layout& layout, const FetchedFile& file) {
  const std::string blob = layout.BlobPath(file.sha256);
  if (access(blob.c_str(), F_OK) == 0) {
    if (!file.part_path.empty()) DiscardPart(file.part_path);
    return {};
  }
  if (file.part_path.empty()) {
    return Error(Code::kAborted, "another command removed a file of this model; pull again");
  }
  if (chmod(file.part_path.c_str(), kReadOnly) != 0 ||
      rename(file.part_path.c_str(), blob.c_str()) != 0) {
    return Error(ErrnoStatus(errno, "install", blob));
  }
  DiscardPart(file.part_path);
  return {};
}

Result<ModelInfo> Install(const Layout& layout, const SourcePlan& plan, const std::string& name,
                          const FetchedModel& model) {
  ModelInfo info{};
  info.name = name;
  info.source = plan.source;
  info.licence = PlainLicence(model.licence);
  info.installed_unix_s = std::time(nullptr);
  for (const FetchedFile& file : model.files) {
    TRY(InstallBlob(layout, file));
    info.files.push_back({layout.BlobPath(file.sha256), file.bytes, file.sha256});
    info.bytes += file.bytes;
  }
  TRY(SyncFolder(layout.blobs));
  info.path = info.files[0].path;
  if (model.files.size() > 1) {
    const std::string folder = SetFolder(layout, model.files);
    TRY(LinkSet(folder, model.files,
                [](const FetchedFile& file) { return "../../blobs/sha256-" + file.sha256; }));
    TRY(SyncFolder(layout.sets));
    info.path = folder + "/" + model.files[0].file_name;
  }
  TRY(WriteManifest(layout, info));
  return info;
}

}  // namespace

Result<ModelInfo> Library::Pull(const std::string& source, const std::string& name,
                                ProgressCallback progress) {
  const SourcePlan plan = TRY(PlanSource(source));
  const std::string full_name = name.empty() ? plan.name : TRY(ParseName(name));
  const Layout layout(folder_);
  for (const std::string& folder :
       {layout.blobs, layout.manifests, layout.sets, layout.partial, layout.locks}) {
    TRY(MakeFolders(folder));
  }
  const auto wait = [&] { return progress({"waiting", 0, 0}); };
  const FileLock pull_lock =
      TRY(FileLock::Acquire(layout.locks + "/pull-" + Sha256Of(plan.source).substr(0, 32), wait));
  TRY(CheckNameIsFree(layout, plan, full_name));
  const auto existing = ReadManifest(layout, full_name);
  if (existing && CheckWhole(*existing)) return *existing;
  const FetchedModel model = TRY(Fetch(plan, layout, progress));
  TRY(CheckOpens(layout, model.files));
  const FileLock library_lock = TRY(FileLock::Acquire(layout.locks + "/library", wait));
  TRY(CheckNameIsFree(layout, plan, full_name));  // another source may have taken it meanwhile
  return Install(layout, plan, full_name, model);
}

}  // namespace lamina::store
