#include <algorithm>
#include <cmath>
#include <optional>

#include "cli/json_output.h"
#include "cli/loaded_model.h"
#include "cli/machine.h"
#include "cli/measure.h"
#include "cli/options.h"
#include "cli/predict.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/verbs/library_verbs.h"
#include "kernels/dispatch.h"
#include "store/catalog.h"

namespace lamina::cli {
namespace {

constexpr double kSlowTokensPerS = 5;  // Slower than people read.
constexpr int64_t kMeasuredTokens = 48;
constexpr int kMostAttempts = 4;
constexpr double kSteady = 0.1;

struct ModelReport {
  const store::CatalogEntry* entry;
  bool is_installed = false;
  uint64_t needs_bytes = 0;
  double predicted_tokens_per_s = 0;
  std::optional<double> measured_tokens_per_s;
  const char* verdict = "fits";
};

class Doctor : public Command {
 public:
  void Define(Options& options) override {
    options.Number("-t,--threads", &n_threads_, 1, MostThreads(),
                   "Threads; default: physical cores of this process");
    options.Flag("--no-models", &no_models_, "Do not measure the installed models");
    cache_.Define(options);
    options.Flag("--json", &json_, "One JSON object");
  }

  Result<int> Run(const Context&) override {
    machine_ = DescribeMachine();
    ThreadPool pool(n_threads_ > 0 ? n_threads_ : machine_.n_cores);
    table_ = TRY(kernels::Select(""));
    StatusLine status;
    // Beside other programs the speed changes while it is measured: then everything is measured
    // again, so that prediction and measurement speak of the same machine.
    for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
      status.Show("measuring memory and kernels");
      before_ = TRY(MeasureReadBandwidth(pool));
      int8_gops_ = TRY(MeasureInt8Gops(*table_, pool));
      status.Show("measuring models");
      TRY(ReportModels(pool));
      after_ = TRY(MeasureReadBandwidth(pool));
      if (std::fabs(after_ - before_) <= kSteady * std::max(after_, before_)) break;
    }
    status.Clear();
    if (json_) {
      PrintReportJson(pool.n_threads());
    } else {
      PrintReport(pool.n_threads());
    }
    return kDone;
  }

 private:
  Result<> ReportModels(ThreadPool& pool) {
    models_.clear();
    // No library is no reason not to describe the machine.
    const auto library = OpenLibrary();
    for (const store::CatalogEntry& entry : store::Catalog()) {
      ModelReport report{&entry};
      report.is_installed = library && library->Resolve(std::string(entry.name)).has_value();
      // Weights, keys and values of 4096 tokens, activations.
      report.needs_bytes = entry.bytes + entry.bytes / 4 + (64 << 20);
      const DecodeShape shape{entry.decode_bytes - entry.head_bytes,
                              entry.head_bytes,
                              entry.layer_type,
                              entry.head_type,
                              entry.n_layers,
                              entry.d_model};
      report.predicted_tokens_per_s = TRY(PredictTokensPerSecond(*table_, pool, shape));
      if (report.is_installed && !no_models_) {
        report.measured_tokens_per_s = TRY(MeasureModel(entry, pool.n_threads()));
      }
      if (report.needs_bytes > machine_.available_bytes) {
        report.verdict = "won't";
      } else if (report.predicted_tokens_per_s < kSlowTokensPerS) {
        report.verdict = "slow";
      }
      models_.push_back(report);
    }
    return {};
  }

  Result<double> MeasureModel(const store::CatalogEntry& entry, int n_threads) const {
    ComputeOptions options;
    options.cache = cache_;
    options.n_threads = n_threads;
    options.context = kMeasuredTokens + 8;
    const LoadedModel loaded = TRY(LoadModel(std::string(entry.name), options));
    SpeedMeter meter = TRY(SpeedMeter::Create(loaded, options.context, 1));
    const auto decode = TRY(meter.Decode(kMeasuredTokens, 0, 1, 3));
    return *std::max_element(decode.tokens_per_s.begin(), decode.tokens_per_s.end());
  }

  void PrintReportJson(int n_threads) const {
    Json json;
    json["cpu"] = machine_.cpu;
    json["cores"] = machine_.n_cores;
    json["cpus"] = machine_.n_cpus;
    json["threads"] = n_threads;
    json["isa"] = table_->isa;
    Json available = Json::array();
    for (const kernels::Table* table : kernels::Available()) available.push_back(table->isa);
    json["isas"] = std::move(available);
    json["memory_bytes"] = machine_.memory_bytes;
    json["available_bytes"] = machine_.available_bytes;
    json["cgroup_limit_bytes"] =
        machine_.cgroup_limit_bytes > 0 ? Json(machine_.cgroup_limit_bytes) : Json(nullptr);
    json["read_gb_per_s"] = {before_, after_};
    json["int8_gops"] = int8_gops_;
    Json models = Json::array();
    for (const ModelReport& report : models_) {
      Json model;
      model["name"] = report.entry->name;
      model["bytes"] = report.entry->bytes;
      model["needs_bytes"] = report.needs_bytes;
      model["licence"] = report.entry->licence;
      model["installed"] = report.is_installed;
      model["verdict"] = report.verdict;
      model["predicted_tokens_per_s"] = report.predicted_tokens_per_s;
      model["measured_tokens_per_s"] =
          report.measured_tokens_per_s ? Json(*report.measured_tokens_per_s) : Json(nullptr);
      models.push_back(std::move(model));
    }
    json["models"] = std::move(models);
    PrintJson(json);
  }

  void PrintReport(int n_threads) const {
    fmt::print("processor   {}, {} cores, {} logical, {} threads used\n", machine_.cpu,
               machine_.n_cores, machine_.n_cpus, n_threads);
    fmt::print("kernels     {}\n", table_->isa);
    fmt::print("memory      {}, {} available", HumanBytes(machine_.memory_bytes),
               HumanBytes(machine_.available_bytes));
    if (machine_.cgroup_limit_bytes > 0) {
      fmt::print(", limited to {}", HumanBytes(machine_.cgroup_limit_bytes));
    }
    fmt::print("\nreading     {:.1f} GB/s before, {:.1f} after\n", before_, after_);
    fmt::print("int8        {:.0f} GOP/s\n\n", int8_gops_);
    fmt::print("{:<28} {:>9}  {:<7} {:>12} {:>12}  {}\n", "MODEL", "SIZE", "HERE", "PREDICTED",
               "MEASURED", "");
    for (const ModelReport& report : models_) {
      const std::string measured =
          report.measured_tokens_per_s
              ? fmt::format("{:.0f} tokens/s", *report.measured_tokens_per_s)
              : "";
      fmt::print("{:<28} {:>9}  {:<7} {:>12} {:>12}  {}\n", report.entry->name,
                 HumanBytes(report.entry->bytes), report.verdict,
                 fmt::format("{:.0f} tokens/s", report.predicted_tokens_per_s), measured,
                 report.is_installed ? "installed" : "");
    }
  }

  int n_threads_ = 0;
  bool no_models_ = false, json_ = false;
  CacheOptions cache_;
  Machine machine_;
  const kernels::Table* table_ = nullptr;
  double before_ = 0, after_ = 0;
  double int8_gops_ = 0;
  std::vector<ModelReport> models_;
};

}  // namespace

std::unique_ptr<Command> MakeDoctor() { return std::make_unique<Doctor>(); }

}  // namespace lamina::cli
