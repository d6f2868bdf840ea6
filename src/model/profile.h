// Where the time of steps goes: per thread and operation, told by hooks at the borders of phases.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lamina::model {

/// What a thread does at a time.
enum class Operation : int {
  kEmbedding,     ///< Rows of the table, angles of the rotary embedding.
  kNorm,          ///< Norms, rounding to int8, residual sums.
  kQkv,           ///< Products: queries, keys, values, gates.
  kRotate,        ///< Biases and norms of heads, rotation, storing keys and values.
  kAttention,     ///< Over keys and values, with the output gate and the rounding of results.
  kOutput,        ///< Product: Wo.
  kGateUp,        ///< Products, the activation, and the rounding of results.
  kDown,          ///< Product.
  kRouter,        ///< Product, choice of experts, sorting of rows by expert.
  kExpertGateUp,  ///< As kGateUp and kDown, of experts.
  kExpertDown,
  kRecurrentIn,   ///< Products into a delta-net or a short convolution.
  kConvolution,   ///< With the norms of its heads, decays and betas.
  kDelta,         ///< The delta rule and its gated norm.
  kRecurrentOut,  ///< Product.
  kPerLayer,      ///< Gemma 4's inputs of every layer.
  kHead,          ///< Product, scale and cap of logits.
  kBarrier        ///< Waiting for the other threads.
};
inline constexpr int kNumOperations = static_cast<int>(Operation::kBarrier) + 1;

/// "norm+quantize", "qkv", ...: rows of a report, keys of its JSON.
std::string_view OperationName(Operation operation);

/// Filled while it is started; everywhere a null Profile or Lane means that nobody measures.
/// Lanes are written by the pool's threads during a step, everything else by whoever drives it.
class Profile {
 public:
  struct Cell {
    int64_t ns = 0;
    int64_t weight_bytes = 0;  ///< Of panels multiplied with.
    int64_t macs = 0;          ///< Multiplications of weights, rows counted.
  };

  /// One thread's times.
  class alignas(128) Lane {
   public:
    void Begin() {
      operation_ = Operation::kEmbedding;
      since_ = Now();
    }
    /// The time since the last call belongs to the operation entered there.
    void Enter(Operation operation) {
      const int64_t now = Now();
      cell().ns += now - since_;
      since_ = now;
      operation_ = operation;
    }
    void AddProduct(int64_t weight_bytes, int64_t macs) {
      cell().weight_bytes += weight_bytes;
      cell().macs += macs;
    }
    Operation operation() const { return operation_; }
    const Cell& operator[](Operation operation) const {
      return cells_[static_cast<size_t>(operation)];
    }

   private:
    Cell& cell() { return cells_[static_cast<size_t>(operation_)]; }

    std::array<Cell, kNumOperations> cells_;
    Operation operation_ = Operation::kEmbedding;
    int64_t since_ = 0;
  };

  void Clear() { *this = Profile(); }
  void Start() { started_ = true; }
  void Stop() { started_ = false; }

  /// Around a step: the lanes of its threads, or null while stopped.
  Lane* BeginStep(int n_threads);
  void EndStep(int64_t n_rows);
  /// Time between steps: choosing tokens from logits.
  void AddSampling(int64_t ns) { sampling_ns_ += ns; }
  bool started() const { return started_; }

  const std::vector<Lane>& lanes() const { return lanes_; }
  int64_t n_rows() const { return n_rows_; }
  int64_t steps_ns() const {
    return steps_ns_;
  }  ///< From the first thread's start to the last's end.
  int64_t sampling_ns() const { return sampling_ns_; }

  /// Monotonic, in nanoseconds.
  static int64_t Now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

 private:
  bool started_ = false;
  std::vector<Lane> lanes_;
  int64_t n_rows_ = 0, steps_ns_ = 0, sampling_ns_ = 0, step_began_ = 0;
};

/// The time of its life belongs to sampling.
class SamplingTime {
 public:
  explicit SamplingTime(Profile* profile)
      : profile_(profile != nullptr && profile->started() ? profile : nullptr),
        began_(profile_ != nullptr ? Profile::Now() : 0) {}
  ~SamplingTime() {
    if (profile_ != nullptr) profile_->AddSampling(Profile::Now() - began_);
  }
  SamplingTime(const SamplingTime&) = delete;
  SamplingTime& operator=(const SamplingTime&) = delete;

 private:
  Profile* profile_;
  int64_t began_;
};

}  // namespace lamina::model
