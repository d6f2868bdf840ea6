// A model by the name that a user gave, opened or loaded.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "cli/weight_cache.h"
#include "engine/engine.h"
#include "format/model_source.h"
#include "model/model.h"
#include "store/library.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lamina::cli {

class Options;
class StatusLine;

/// Options of every verb that computes.
struct ComputeOptions {
  int n_threads = 0;  ///< 0 = DefaultThreadCount().
  int64_t context = 0;
  std::string kv_type;
  model::Profile* profile = nullptr;  ///< Filled by the model while it is started.
  CacheOptions cache;

  void Define(Options& options);
};

/// The user's library; without a home an empty one, in which a path still is a path.
store::Library LibraryOrPaths();

/// The files of a library name, a .gguf or a folder, opened and validated.
Result<std::unique_ptr<const format::ModelSource>> OpenModel(const std::string& name);

struct LoadedModel {
  std::unique_ptr<const format::ModelSource> source;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<ThreadPool> pool;
  std::shared_ptr<const model::Model> model;
  double load_ms = 0;  ///< From the first byte read to the first step possible.
};

/// The weights of an open model; `status` shows progress. The options' threads are the pool's.
Result<std::shared_ptr<const model::Model>> LoadWeights(const format::ModelSource& source,
                                                        ThreadPool& pool,
                                                        const ComputeOptions& options,
                                                        StatusLine& status);

Result<LoadedModel> LoadModel(const std::string& name, const ComputeOptions& options);

/// The model's chat template, or null where it has none: then it completes text. Errors:
/// kUnimplemented in a build without the bridge.
Result<std::unique_ptr<text::ChatTemplate>> LoadChatTemplate(const format::ModelSource& source,
                                                             const text::Tokenizer& tokenizer);

/// The Jinja source of the model's chat template, empty where it has none. Source: GGUF
/// tokenizer.chat_template; chat_template.jinja or tokenizer_config.json in a folder.
Result<std::string> ChatTemplateSource(const format::ModelSource& source);

}  // namespace lamina::cli
