// What a family is, as data: everything the forward pass asks about a model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lamina::model {

enum class Activation { kSilu, kGeluTanh };
enum class Mixer { kAttention, kGatedDeltaNet, kShortConv };

/// Rotary embedding of one layer: pairs (i, i + n_rot / 2) of a head turn together. Where GGUF
/// orders heads for pairs (2i, 2i + 1), the tensor plan orders their rows back.
struct RopeSpec {
  int n_rot = 0;  ///< Rotated dimensions of a head; 0 = none.
  double theta = 10000.0;
  double linear_factor = 1.0;        ///< Positions are divided by it.
  std::vector<float> freq_divisors;  ///< [n_rot / 2] or empty: each frequency is divided by it.
  std::vector<float> long_divisors;  ///< Used instead once a sequence outgrows original_context.
  int64_t original_context = 0;      ///< Of YaRN and long_divisors.
  float magnitude = 1.0f;            ///< Multiplies cos and sin.
  // YaRN (arXiv:2309.00071); factor 0 = off.
  double yarn_factor = 0.0, yarn_beta_fast = 32.0, yarn_beta_slow = 1.0;
};

struct LayerSpec {
  Mixer mixer = Mixer::kAttention;
  // Attention.
  int n_heads = 0, n_kv_heads = 0, d_head = 0, d_value = 0;
  int64_t window = 0;           ///< Positions seen, the own included; 0 = all.
  int rope = -1;                ///< Index into ModelSpec::ropes; -1 = none.
  float attention_scale = 0;    ///< Multiplies q . k.
  float attention_softcap = 0;  ///< 0 = none.
  bool qk_norm = false;         ///< RMS norm of every query and key head, before the rotation.
  bool value_norm = false;      ///< RMS norm without weights of every value head.
  /// The query projection gives [query | gate] per head; sigmoid(gate) multiplies the head's
  /// output.
  bool output_gate = false;
  int kv_from_layer = -1;  ///< Shares keys and values of this earlier layer; -1 = its own.
  // Feed-forward: dense, or experts.
  int d_ff = 0;
  Activation activation = Activation::kSilu;
  int n_experts = 0, n_experts_used = 0;
  bool normalize_expert_weights = false;
  bool softmax_after_top_k = false;
};

struct ModelSpec {
  std::string family;  ///< Row of families.cpp.
  std::string name;
  int64_t n_vocab = 0, d_model = 0, max_context = 0;
  float norm_eps = 1e-5f;
  float embedding_scale = 1.0f, residual_scale = 1.0f,
        logit_scale = 1.0f;    ///< Logits are multiplied.
  float final_softcap = 0.0f;  ///< 0 = none.
  /// Query scale 1 + beta * ln(1 + floor(position / original)); beta 0 = none (Ministral 3).
  float query_log_beta = 0.0f;
  int64_t query_log_original = 0;
  std::vector<RopeSpec> ropes;
  std::vector<LayerSpec> layers;
  bool tied_head = false;  ///< The head is the embedding, whatever else the file holds.
  // Gated delta-net and short convolution widths, where layers have them.
  // Value head v reads key head v % n_k_heads; the tensor plan orders Hugging Face's rows so.
  int conv_kernel = 0, n_k_heads = 0, n_v_heads = 0, d_k_head = 0, d_v_head = 0;
  int d_per_layer_input = 0;  ///< Gemma 4; 0 = none.
};

}  // namespace lamina::model
