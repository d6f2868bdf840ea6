// What most families share: the fields every configuration has, rotary scaling, tensor names.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/families/fields.h"
#include "model/spec.h"
#include "model/weights.h"

namespace lamina::model::families {

/// What a family's file provides; families.cpp has the table of them.
struct FamilyCode {
  Result<ModelSpec> (*read)(const Fields& fields);
  Result<TensorPlan> (*plan)(const format::ModelSource& source, const ModelSpec& spec);
};

/// Keys that several families read.
inline constexpr Field kHeadCount = {"attention.head_count", "num_attention_heads"};
inline constexpr Field kHeadCountKv = {"attention.head_count_kv", "num_key_value_heads"};
inline constexpr Field kKeyLength = {"attention.key_length", "head_dim"};
inline constexpr Field kValueLength = {"attention.value_length", "head_dim"};
inline constexpr Field kFeedForward = {"feed_forward_length", "intermediate_size"};
inline constexpr Field kWindow = {"attention.sliding_window", "sliding_window"};
inline constexpr Field kWindowPattern = {"attention.sliding_window_pattern",
                                         "sliding_window_pattern"};

/// Where families differ in the common fields.
struct BaseOptions {
  Field norm_eps = {"attention.layer_norm_rms_epsilon", "rms_norm_eps"};
  Field feed_forward = kFeedForward;
  Activation activation = Activation::kSilu;
  int64_t default_d_head = 0;  ///< Where the file names none; 0 = d_model / n_heads.
  bool zero_kv_heads = false;  ///< A layer with 0 key-value heads is no attention layer.
  /// Blocks at the end that predict further tokens and are not run.
  Field extra_layers = {};
};

/// Everything but rotary embedding, windows and what only some families have: sizes, heads, widths,
/// norm, attention_scale = 1 / sqrt(d_head). Layers are plain attention with a dense SiLU network.
Result<ModelSpec> ReadBase(const Fields& fields, const BaseOptions& options = {});

/// Experts of layers (expert_count and so on); leaves a model without them alone.
Result<> ReadExperts(const Fields& fields, ModelSpec* spec);

/// Rotary embedding of heads of d_head, with the scaling that the file names: none, linear, llama3,
/// YaRN (arXiv:2309.00071), LongRoPE (arXiv:2402.13753).
struct RopeOptions {
  double default_theta = 10000.0;
  /// Names of the base and the rotated width, where layers differ.
  Field theta = {"rope.freq_base", "rope_theta"};
  Field n_rot = {"rope.dimension_count", ""};
  /// False ignores scaling that is not in hf_group: Gemma 3's local layers.
  bool scaled = true;
  /// Name of the object in config.json's rope_parameters; empty = the fields lie in it directly.
  std::string_view hf_group = {};
  std::string_view gguf_divisors = "rope_freqs.weight";
};
Result<RopeSpec> ReadRope(const Fields& fields, int d_head, const RopeOptions& options = {});

/// Every layer uses ropes[0].
Result<> SetRope(const Fields& fields, ModelSpec* spec, const RopeOptions& options = {});

/// Per layer, whether its window slides: config.json's layer_types, or GGUF's
/// sliding_window_pattern (a flag per layer, or a period n whose every n-th layer sees all), or the
/// period `default_period` (0 = all layers slide).
Result<std::vector<bool>> ReadSliding(const Fields& fields, int64_t n_layers,
                                      int64_t default_period);

/// Sets the window that the file names (0 or absent = none) in the layers that slide, or in all.
Result<> SetWindows(const Fields& fields, const std::vector<bool>& sliding, ModelSpec* spec);
Result<> SetWindowEverywhere(const Fields& fields, ModelSpec* spec);
/// Qwen's and SmolLM3's: config.json's use_sliding_window turns them on, by layer_types or, without
/// it, in the layers for which `slides` is true; GGUF has them where it has a pattern.
Result<> SetOptionalWindows(const Fields& fields, const std::vector<bool>& slides, ModelSpec* spec);

/// The values of a tensor as f32, whatever its type.
std::vector<float> TensorValues(const format::Tensor& tensor);

// ---- Tensor names ----

/// Which layers have a tensor.
enum class Where { kAll, kAttention, kOwnKeys, kDense, kExperts, kDelta, kConv };

/// A matrix of a layer: "blk.N." + gguf + ".weight", prefix + "layers.N." + hf + ".weight".
struct MatrixName {
  MatrixRole role;
  Where where;
  std::string_view gguf, hf;
};

/// A vector of a layer; names are whole, as some end in ".bias" or in nothing.
struct VectorName {
  VectorRole role;
  Where where;
  std::string_view gguf, hf;
  bool required = true;
};

/// How a family names its tensors.
struct PlanNames {
  std::span<const MatrixName> matrices;
  std::span<const VectorName> vectors;
  std::span<const VectorName> more_vectors = {};  ///< What a family has besides those.
  std::string_view gguf_output_norm = "output_norm.weight";
  std::string_view hf_output_norm = "norm.weight";
  /// Hugging Face stores the gains of these norms minus one.
  bool hf_norms_minus_one = false;
  /// GGUF's rows of query and key heads are ordered for rotation by adjacent pairs; the plan orders
  /// them back to halves.
  bool gguf_adjacent_pairs = false;
};

/// The names of Llama and all that follow it, for tables of families.
inline constexpr MatrixName kLlamaMatrices[] = {
    {MatrixRole::kQuery, Where::kAttention, "attn_q", "self_attn.q_proj"},
    {MatrixRole::kKey, Where::kOwnKeys, "attn_k", "self_attn.k_proj"},
    {MatrixRole::kValue, Where::kOwnKeys, "attn_v", "self_attn.v_proj"},
    {MatrixRole::kOutput, Where::kAttention, "attn_output", "self_attn.o_proj"},
    {MatrixRole::kGate, Where::kDense, "ffn_gate", "mlp.gate_proj"},
    {MatrixRole::kUp, Where::kDense, "ffn_up", "mlp.up_proj"},
    {MatrixRole::kDown, Where::kDense, "ffn_down", "mlp.down_proj"},
};
inline constexpr VectorName kLlamaVectors[] = {
    {VectorRole::kMixerNorm, Where::kAll, "attn_norm.weight", "input_layernorm.weight"},
    {VectorRole::kFfnNorm, Where::kAll, "ffn_norm.weight", "post_attention_layernorm.weight"},
    {VectorRole::kQueryBias, Where::kAttention, "attn_q.bias", "self_attn.q_proj.bias", false},
    {VectorRole::kKeyBias, Where::kOwnKeys, "attn_k.bias", "self_attn.k_proj.bias", false},
    {VectorRole::kValueBias, Where::kOwnKeys, "attn_v.bias", "self_attn.v_proj.bias", false},
    {VectorRole::kOutputBias, Where::kAttention, "attn_output.bias", "self_attn.o_proj.bias",
     false},
};

/// Finds tensors by name.
class TensorFinder {
 public:
  explicit TensorFinder(const format::ModelSource& source);
  bool is_gguf() const { return is_gguf_; }
  /// A layer's tensor by the rest of its name in this file's format; null where it is absent.
  const format::Tensor* InLayer(size_t layer, std::string_view gguf, std::string_view hf) const;
  /// A model's tensor.
  const format::Tensor* InModel(std::string_view gguf, std::string_view hf) const;
  /// The same, or an error that names the tensor.
  Result<const format::Tensor*> NeedInLayer(size_t layer, std::string_view gguf,
                                            std::string_view hf) const;
  Result<const format::Tensor*> NeedInModel(std::string_view gguf, std::string_view hf) const;
  /// Whether a tensor's name belongs to one of the first n_layers layers.
  bool IsOfLayer(std::string_view name, size_t n_layers) const;

 private:
  std::string LayerName(size_t layer, std::string_view gguf, std::string_view hf) const;
  std::string ModelName(std::string_view gguf, std::string_view hf) const;

  const format::ModelSource* source_;
  bool is_gguf_;
  std::string prefix_;  ///< Of config.json models: "model.", "language_model.model.", ...
};

/// All rows of a tensor, and a part of them.
MatrixPlan WholeMatrix(const format::Tensor* tensor);
MatrixPlan RowsOf(const format::Tensor* tensor, int64_t row_begin, int64_t n_rows);
VectorPlan WholeVector(const format::Tensor* tensor,
                       VectorPlan::Transform transform = VectorPlan::Transform::kNone);

/// Embedding, head, output norm and, per layer, what `names` lists. Errors: kInvalidArgument names
/// a tensor that is missing.
Result<TensorPlan> PlanByNames(const format::ModelSource& source, const ModelSpec& spec,
                               const PlanNames& names);

/// PlanByNames with the names of Llama, for families whose files are laid out as its are.
Result<TensorPlan> PlanLlama(const format::ModelSource& source, const ModelSpec& spec);

/// Names of the experts of a layer: stacked in GGUF, one tensor each in Hugging Face ("{}" is the
/// expert), or stacked there too under the names of newer checkpoints.
struct ExpertNames {
  std::string_view hf_router, hf_gate, hf_up, hf_down;
};
Result<> PlanExperts(const format::ModelSource& source, const ModelSpec& spec,
                     const ExpertNames& names, TensorPlan* plan);

/// The order of values that turns a convolution stored as [n_channels, n_taps], as all files do,
/// into [n_taps, n_channels]. `channels`: which of the file's channels comes where; empty = as they
/// are.
std::vector<int32_t> TapsFirst(int64_t n_channels, int64_t n_taps,
                               const std::vector<int32_t>& channels = {});

/// The row order that turns heads stored for adjacent pairs (2i, 2i + 1) into halves (i, i + n_rot
/// / 2).
std::vector<int32_t> HalvesFromPairs(int64_t n_heads, int64_t d_head, int64_t n_rot);

}  // namespace lamina::model::families
