#include "model/model.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

#include "model/families.h"
#include "model/forward.h"
#include "model/loaded.h"
#include "model/memory.h"
#include "model/rope.h"
#include "model/sequence.h"

namespace lamina::model {
namespace {

using kernels::KvType;

struct KvTypeName {
  std::string_view name;
  KvType type;
};
constexpr KvTypeName kKvTypes[] = {
    {"f32", KvType::kF32}, {"f16", KvType::kF16}, {"bf16", KvType::kBf16}, {"q8_0", KvType::kQ8_0}};

// The type asked for; `fallback` where none is.
Result<KvTypeName> FindKvType(const std::string& name, KvType fallback) {
  for (const KvTypeName& type : kKvTypes) {
    if (name.empty() ? type.type == fallback : type.name == name) return type;
  }
  return Error(Code::kInvalidArgument,
               "the type of keys and values is '{}', but must be f32, f16, bf16 or q8_0", name);
}

bool AllF32(const TensorPlan& plan) {
  const auto is_f32 = [](const MatrixPlan& matrix) {
    return matrix.tensor == nullptr || matrix.tensor->type->name == "F32";
  };
  return is_f32(plan.embedding) && is_f32(plan.head) &&
         std::all_of(plan.layers.begin(), plan.layers.end(), [&](const LayerPlan& layer) {
           return std::all_of(layer.matrices.begin(), layer.matrices.end(), is_f32) &&
                  std::all_of(layer.expert_gate.begin(), layer.expert_gate.end(), is_f32) &&
                  std::all_of(layer.expert_up.begin(), layer.expert_up.end(), is_f32) &&
                  std::all_of(layer.expert_down.begin(), layer.expert_down.end(), is_f32);
         });
}

// What both loading and estimating need.
struct Description {
  ModelSpec spec;
  TensorPlan plan;
  KvTypeName kv_type;
  int64_t context;
  StepSizes sizes;
  MemoryNeed need;
};

/// What `run` returns, or an error where the system had no memory for a small allocation.
template <class Run>
auto NoThrow(Run run) -> decltype(run()) {
  try {
    return run();
  } catch (const std::bad_alloc&) {
    return Error(Code::kResourceExhausted, "out of memory");
  }
}

constexpr int64_t kDefaultContext = 4096;

Result<Description> Describe(const format::ModelSource& source, const LoadOptions& options,
                             int n_threads) {
  Description d;
  d.spec = TRY(ReadSpec(source));
  d.plan = TRY(PlanTensors(source, d.spec));
  TRY(CheckPlan(d.spec, d.plan));
  d.kv_type = TRY(FindKvType(options.kv_type, AllF32(d.plan) ? KvType::kF32 : KvType::kF16));
  d.context = options.context > 0 ? options.context : kDefaultContext;
  d.context = std::min(d.context, d.spec.max_context);
  d.sizes = MeasureStep(d.spec);
  d.need.weight_bytes = static_cast<uint64_t>(WeightBytes(d.plan));
  d.need.kv_bytes =
      static_cast<uint64_t>(SequenceBytes(d.spec, d.kv_type.type, d.context, kMaxRows));
  d.need.activation_bytes =
      static_cast<uint64_t>(Workspace::Bytes(d.sizes, std::min(d.context, kMaxRows), n_threads));
  return d;
}

std::string Megabytes(uint64_t bytes) {
  return fmt::format("{} MiB", (bytes + (1 << 20) - 1) >> 20);
}

Result<> CheckMemory(const Description& d, uint64_t limit_bytes) {
  AvailableMemory have = ReadAvailableMemory();
  if (limit_bytes > 0 && limit_bytes < have.bytes) have = {limit_bytes, "memory limit"};
  if (d.need.total() <= have.bytes) return {};
  return Error(Code::kResourceExhausted,
               "the model needs {} (weights {}, a context of {} tokens {}, buffers {}), but the {} "
               "has {}; use a smaller model or a smaller context",
               Megabytes(d.need.total()), Megabytes(d.need.weight_bytes), d.context,
               Megabytes(d.need.kv_bytes), Megabytes(d.need.activation_bytes), have.limited_by,
               Megabytes(have.bytes));
}

// Rows of a step's parts that are computed together, and where their logits go.
struct Batch {
  std::vector<Segment> segments, wanted;
  std::vector<int32_t> ids;
  int64_t n_wanted = 0;

  void Clear() {
    segments.clear();
    wanted.clear();
    ids.clear();
    n_wanted = 0;
  }

  void Add(const StepPart& part, int64_t begin, int64_t end) {
    auto* sequence = static_cast<SequenceState*>(part.sequence);
    const auto n_ids = static_cast<int64_t>(part.ids.size());
    const auto first_row = static_cast<int64_t>(ids.size());
    const int64_t position = sequence->n_tokens();
    const bool may_round = end - begin > kMaxExactRows;
    segments.push_back({sequence, first_row, end - begin, position, first_row, may_round});
    // The rows wanted are a part's last.
    const int64_t skipped = std::clamp<int64_t>(n_ids - part.n_logits - begin, 0, end - begin);
    wanted.push_back({sequence, n_wanted, end - begin - skipped, position + skipped,
                      first_row + skipped, may_round});
    n_wanted += end - begin - skipped;
    ids.insert(ids.end(), part.ids.begin() + begin, part.ids.begin() + end);
  }
};

class LoadedModel final : public Model, public std::enable_shared_from_this<LoadedModel> {
 public:
  LoadedModel(Description description, Weights weights, const kernels::Table* table,
              Profile* profile)
      : spec_(std::move(description.spec)),
        weights_(std::move(weights)),
        table_(table),
        profile_(profile),
        kv_type_(description.kv_type),
        sizes_(description.sizes),
        layout_(LayOutSequences(spec_, kv_type_.type, description.context, &pools_)) {
    int64_t offset = 0;
    for (const RopeSpec& rope : spec_.ropes) {
      ropes_.emplace_back(rope);
      rope_offsets_.push_back(offset);
      offset += rope.n_rot / 2;
    }
    for (size_t i = 0; i < spec_.layers.size(); ++i) {
      if (layout_.layers[i].pool != nullptr || layout_.layers[i].n_state > 0) {
        last_state_layer_ = static_cast<int>(i);
      }
    }
    weight_bytes_per_token_ = WeightBytesPerToken(spec_, weights_);
  }

  const ModelSpec& spec() const override { return spec_; }
  const char* isa() const override { return table_->isa; }
  const char* kv_type() const override { return kv_type_.name.data(); }
  uint64_t weight_bytes() const override { return static_cast<uint64_t>(weights_.n_bytes); }

  uint64_t bytes_per_token(int64_t depth) const override {
    int64_t bytes = weight_bytes_per_token_;
    for (const LayerSpec& layer : spec_.layers) {
      if (layer.mixer != Mixer::kAttention) continue;
      const int64_t seen = layer.window > 0 ? std::min(depth, layer.window) : depth;
      bytes += seen * layer.n_kv_heads *
               (kernels::KvRowBytes(kv_type_.type, layer.d_head) +
                kernels::KvRowBytes(kv_type_.type, layer.d_value));
    }
    return static_cast<uint64_t>(bytes + layout_.n_state * static_cast<int64_t>(sizeof(float)));
  }

  Result<std::unique_ptr<Sequence>> NewSequence() const override {
    return NoThrow([&]() -> Result<std::unique_ptr<Sequence>> {
      return std::make_unique<SequenceState>(shared_from_this(), &layout_);
    });
  }

  Result<> Forward(ThreadPool& pool, std::span<const StepPart> parts, float* logits,
                   const std::atomic<bool>* cancel) const override {
    TRY(Check(parts));
    return NoThrow([&]() -> Result<> {
      std::unique_ptr<Scratch> scratch = TakeScratch();
      for (const StepPart& part : parts) scratch->n_before.push_back(part.sequence->n_tokens());
      const Result<> result =
          NoThrow([&] { return RunBatches(pool, parts, logits, cancel, scratch.get()); });
      if (!result) RollBack(parts, scratch->n_before);
      scratch->n_before.clear();
      std::lock_guard lock(mutex_);
      scratches_.push_back(std::move(scratch));
      return result;
    });
  }

 private:
  // What a step in progress uses; kept, so that the next allocates nothing.
  struct Scratch {
    std::unique_ptr<Workspace> workspace;
    Batch batch;
    std::vector<int64_t> n_before;  ///< Tokens of each part's sequence before the step.
  };

  Result<> Check(std::span<const StepPart> parts) const {
    for (const StepPart& part : parts) {
      const auto same = [&](const StepPart& other) { return other.sequence == part.sequence; };
      if (std::count_if(parts.begin(), parts.end(), same) > 1) {
        return Error(Code::kInvalidArgument, "a sequence appears twice in one step");
      }
      for (const int32_t id : part.ids) {
        if (id < 0 || id >= spec_.n_vocab) {
          return Error(Code::kInvalidArgument, "token id {} is outside the vocabulary of {}", id,
                       spec_.n_vocab);
        }
      }
      if (part.n_logits < 0 || part.n_logits > static_cast<int64_t>(part.ids.size())) {
        return Error(Code::kInvalidArgument, "logits of {} rows were asked for, but there are {}",
                     part.n_logits, part.ids.size());
      }
      TRY(static_cast<SequenceState*>(part.sequence)
              ->CheckRoom(static_cast<int64_t>(part.ids.size())));
    }
    return {};
  }

  std::unique_ptr<Scratch> TakeScratch() const {
    std::lock_guard lock(mutex_);
    if (scratches_.empty()) return std::make_unique<Scratch>();
    std::unique_ptr<Scratch> scratch = std::move(scratches_.back());
    scratches_.pop_back();
    return scratch;
  }

  Result<> RunBatches(ThreadPool& pool, std::span<const StepPart> parts, float* logits,
                      const std::atomic<bool>* cancel, Scratch* scratch) const {
    Batch& batch = scratch->batch;
    batch.Clear();
    for (const StepPart& part : parts) {
      const auto n_ids = static_cast<int64_t>(part.ids.size());
      for (int64_t begin = 0; begin < n_ids;) {
        const int64_t room = kMaxRows - static_cast<int64_t>(batch.ids.size());
        const int64_t end = std::min(n_ids, begin + room);
        batch.Add(part, begin, end);
        begin = end;
        if (static_cast<int64_t>(batch.ids.size()) < kMaxRows) continue;
        TRY(RunBatch(pool, logits, cancel, scratch));
        logits += batch.n_wanted * spec_.n_vocab;
        batch.Clear();
      }
    }
    if (!batch.ids.empty()) TRY(RunBatch(pool, logits, cancel, scratch));
    return {};
  }

  Result<> RunBatch(ThreadPool& pool, float* logits, const std::atomic<bool>* cancel,
                    Scratch* scratch) const {
    const Batch& batch = scratch->batch;
    const auto n_rows = static_cast<int64_t>(batch.ids.size());
    std::unique_ptr<Workspace>& workspace = scratch->workspace;
    if (workspace == nullptr || workspace->capacity_rows() < n_rows ||
        workspace->n_threads() != pool.n_threads()) {
      int64_t capacity = 16;
      while (capacity < n_rows) capacity *= 2;
      workspace.reset();
      workspace = TRY(Workspace::Create(sizes_, capacity, pool.n_threads()));
    }
    for (const Segment& segment : batch.segments) {
      TRY(segment.sequence->Reserve(segment.n_rows));
    }
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return Cancelled();
    Step step{.spec = &spec_,
              .weights = &weights_,
              .table = table_,
              .kv_type = kv_type_.type,
              .ropes = ropes_,
              .rope_offsets = rope_offsets_,
              .n_angles = sizes_.n_angles,
              .last_state_layer = last_state_layer_,
              .pool = &pool,
              .workspace = workspace.get(),
              .segments = batch.segments,
              .wanted = batch.wanted,
              .ids = batch.ids,
              .n_wanted = batch.n_wanted,
              .logits = logits,
              .cancel = cancel,
              .lanes = profile_ != nullptr ? profile_->BeginStep(pool.n_threads()) : nullptr};
    pool.Run([&](int thread) { RunStep(step, thread); });
    if (profile_ != nullptr) profile_->EndStep(n_rows);
    if (step.stop) {
      for (const Segment& segment : batch.segments) segment.sequence->MarkDirty();
      return Cancelled();
    }
    for (const Segment& segment : batch.segments) segment.sequence->Commit(segment.n_rows);
    return {};
  }

  static tl::unexpected<Status> Cancelled() {
    return Error(Code::kCancelled, "the step was cancelled");
  }

  static void RollBack(std::span<const StepPart> parts, const std::vector<int64_t>& n_before) {
    for (size_t i = 0; i < parts.size(); ++i) {
      static_cast<SequenceState*>(parts[i].sequence)->RollBack(n_before[i]);
    }
  }

  ModelSpec spec_;
  Weights weights_;
  const kernels::Table* table_;
  Profile* const profile_;
  KvTypeName kv_type_;
  StepSizes sizes_;
  std::vector<std::unique_ptr<PagePool>> pools_;
  SequenceLayout layout_;
  std::vector<RopeTable> ropes_;
  std::vector<int64_t> rope_offsets_;
  int last_state_layer_ = -1;
  int64_t weight_bytes_per_token_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> scratches_;
};

}  // namespace

Result<std::shared_ptr<const Model>> Model::Load(const format::ModelSource& source,
                                                 ThreadPool& pool, const LoadOptions& options) {
  return NoThrow([&]() -> Result<std::shared_ptr<const Model>> {
    const kernels::Table* table = options.kernels;
    if (table == nullptr) table = TRY(kernels::Select(""));
    Description description = TRY(Describe(source, options, pool.n_threads()));
    if (options.check_memory) TRY(CheckMemory(description, options.memory_limit_bytes));
    Weights weights =
        TRY(LoadWeights(source, description.plan, pool, options.packed_store, options.on_packing));
    return std::make_shared<const LoadedModel>(std::move(description), std::move(weights), table,
                                               options.profile);
  });
}

Result<MemoryNeed> EstimateMemory(const format::ModelSource& source, const LoadOptions& options) {
  return NoThrow([&]() -> Result<MemoryNeed> {
    return TRY(Describe(source, options, DefaultThreadCount())).need;
  });
}

}  // namespace lamina::model
