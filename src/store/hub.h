// Models of a hub that speaks Hugging Face's protocol.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/http.h"
#include "store/library.h"

namespace lamina::store {

/// "hf.co/ORG/REPO[:QUANT]" or "hf.co/ORG/REPO:FILE.gguf", "huggingface.co/..." too.
struct HubReference {
  std::string org;
  std::string repo;
  std::string quant;  ///< Or a file's name; empty: Q4_K_M, or the only one.
};

/// Errors: kInvalidArgument.
Result<HubReference> ParseHubReference(std::string_view source);

/// One file to fetch.
struct HubFile {
  HttpTarget target;
  std::string file_name;
  uint64_t bytes;
  std::string sha256;  ///< Empty where the hub says none.
};

struct HubModel {
  std::string quant;  ///< In capitals.
  std::string licence;
  std::vector<HubFile> files;  ///< Several where the model is split, in order.
};

/// Asks the hub (HF_ENDPOINT, with HF_TOKEN) what the repository holds, and chooses. Errors:
/// kFailedPrecondition with HF_HUB_OFFLINE; kNotFound with the choices there are; as FetchText.
Result<HubModel> FindOnHub(const HubReference& reference, ProgressCallback progress);

}  // namespace lamina::store
