// The fields that most configurations share.
#include "model/families/common.h"

#include <cmath>

namespace lamina::model::families {
namespace {

constexpr Bounds kLayers = {1, 512};
constexpr Bounds kWidth = {1, 1 << 20};
constexpr Bounds kHeads = {1, 1024};
constexpr Bounds kHeadWidth = {1, 512};

Result<int64_t> VocabularySize(const Fields& fields) {
  const TensorFinder find(fields.source());
  const auto* embedding = TRY(find.NeedInModel("token_embd.weight", "embed_tokens.weight"));
  if (embedding->shape.size() != 2) {
    return Error(Code::kInvalidArgument, "tensor {} must have 2 dimensions, but has {}",
                 embedding->name, embedding->shape.size());
  }
  const int64_t n_vocab = embedding->shape[0];
  if (n_vocab < 1 || n_vocab > (1 << 24)) {
    return Error(Code::kInvalidArgument, "tensor {} has {} rows, but must have 1 to {}",
                 embedding->name, n_vocab, 1 << 24);
  }
  const Field field = {"vocab_size", "vocab_size"};
  const int64_t named = TRY(fields.IntOr(field, n_vocab, {1, INT64_MAX}));
  if (named != n_vocab) {
    return Error(Code::kInvalidArgument, "{} is {}, but tensor {} has {} rows", fields.Name(field),
                 named, embedding->name, n_vocab);
  }
  return n_vocab;
}

/// A file without a head ties it to the embedding, unless it says that it does not.
Result<bool> IsTied(const Fields& fields) {
  if (fields.is_gguf()) return fields.source().Find("output.weight") == nullptr;
  const bool has_head = fields.source().Find("lm_head.weight") != nullptr ||
                        fields.source().Find("language_model.lm_head.weight") != nullptr;
  const Field tie = {"",
                     fields.Has({"", "tie_embedding"}) ? "tie_embedding" : "tie_word_embeddings"};
  return fields.BoolOr(tie, !has_head);
}

/// The dense network's activation is the family's; a file that names another is refused.
Result<> CheckActivation(const Fields& fields, Activation expected) {
  const Field field = {"",
                       fields.Has({"", "hidden_activation"}) ? "hidden_activation" : "hidden_act"};
  const std::string_view name = expected == Activation::kSilu ? "silu" : "gelu_pytorch_tanh";
  const std::string found = TRY(fields.StringOr(field, std::string(name)));
  if (found == name) return {};
  return Error(Code::kUnimplemented, "{} is {}; this family is supported with {}",
               fields.Name(field), found, name);
}

}  // namespace

Result<ModelSpec> ReadBase(const Fields& fields, const BaseOptions& options) {
  TRY(CheckActivation(fields, options.activation));
  ModelSpec spec;
  spec.name = TRY(fields.StringOr({"general.name", "_name_or_path"}, ""));
  const Field block_count = {"block_count", "num_hidden_layers"};
  const int64_t n_blocks = TRY(fields.Int(block_count, kLayers));
  const int64_t n_extra = TRY(fields.IntOr(options.extra_layers, 0, {0, n_blocks - 1}));
  const int64_t n_layers = n_blocks - n_extra;
  const Field embedding_length = {"embedding_length", "hidden_size"};
  spec.d_model = TRY(fields.Int(embedding_length, kWidth));
  spec.max_context =
      TRY(fields.Int({"context_length", "max_position_embeddings"}, {1, int64_t{1} << 31}));
  spec.norm_eps = static_cast<float>(TRY(fields.Float(options.norm_eps, 0.0, 1.0)));
  spec.n_vocab = TRY(VocabularySize(fields));
  spec.tied_head = TRY(IsTied(fields));

  // Blocks that are not run still have their values in lists.
  const auto n_heads = TRY(fields.PerLayer(kHeadCount, n_blocks, kHeads));
  auto n_kv_heads = n_heads;
  if (fields.Has(kHeadCountKv)) {
    n_kv_heads =
        TRY(fields.PerLayer(kHeadCountKv, n_blocks, {options.zero_kv_heads ? 0 : 1, kHeads.max}));
  }
  const auto d_ff = TRY(fields.PerLayer(options.feed_forward, n_blocks, kWidth));

  int64_t default_d_head = options.default_d_head;
  if (default_d_head == 0 && !(fields.Has(kKeyLength) && fields.Has(kValueLength))) {
    if (spec.d_model % n_heads[0] != 0) {
      return Error(Code::kInvalidArgument, "{} is {}, which is no multiple of {} {}",
                   fields.Name(embedding_length), spec.d_model, fields.Name(kHeadCount),
                   n_heads[0]);
    }
    default_d_head = spec.d_model / n_heads[0];
  }
  const int64_t d_head = TRY(fields.IntOr(kKeyLength, default_d_head, kHeadWidth));
  const int64_t d_value = TRY(fields.IntOr(kValueLength, default_d_head, kHeadWidth));

  spec.layers.resize(n_layers);
  for (int64_t i = 0; i < n_layers; ++i) {
    if (n_kv_heads[i] > 0 && n_heads[i] % n_kv_heads[i] != 0) {
      return Error(Code::kInvalidArgument, "{} is {} in layer {}, which is no multiple of {} {}",
                   fields.Name(kHeadCount), n_heads[i], i, fields.Name(kHeadCountKv),
                   n_kv_heads[i]);
    }
    LayerSpec& layer = spec.layers[i];
    layer.n_heads = static_cast<int>(n_heads[i]);
    layer.n_kv_heads = static_cast<int>(n_kv_heads[i]);
    layer.d_head = static_cast<int>(d_head);
    layer.d_value = static_cast<int>(d_value);
    layer.attention_scale = 1.0f / std::sqrt(static_cast<float>(d_head));
    layer.d_ff = static_cast<int>(d_ff[i]);
    layer.activation = options.activation;
  }
  return spec;
}

Result<> ReadExperts(const Fields& fields, ModelSpec* spec) {
  const Field count = {"expert_count",
                       fields.Has({"", "num_local_experts"}) ? "num_local_experts" : "num_experts"};
  const Field used = {"expert_used_count", "num_experts_per_tok"};
  const Field width = {"expert_feed_forward_length", "moe_intermediate_size"};
  const int64_t n_experts = TRY(fields.IntOr(count, 0, {0, 1024}));
  if (n_experts == 0) return {};
  const int64_t n_used = TRY(fields.Int(used, {1, n_experts}));
  for (LayerSpec& layer : spec->layers) {
    layer.n_experts = static_cast<int>(n_experts);
    layer.n_experts_used = static_cast<int>(n_used);
    layer.d_ff = static_cast<int>(TRY(fields.IntOr(width, layer.d_ff, kWidth)));
    layer.normalize_expert_weights = true;
  }
  return {};
}

Result<std::vector<bool>> ReadSliding(const Fields& fields, int64_t n_layers,
                                      int64_t default_period) {
  std::vector<bool> sliding(n_layers);
  const Field layer_types = {"", "layer_types"};
  if (fields.Has(layer_types)) {
    const auto types = TRY(fields.Strings(layer_types));
    if (static_cast<int64_t>(types.size()) != n_layers) {
      return Error(Code::kInvalidArgument, "{} has {} values, but the model has {} layers",
                   fields.Name(layer_types), types.size(), n_layers);
    }
    for (int64_t i = 0; i < n_layers; ++i) {
      if (types[i] != "sliding_attention" && types[i] != "full_attention") {
        return Error(Code::kUnimplemented,
                     "{} has {}; supported are full_attention and sliding_attention",
                     fields.Name(layer_types), types[i]);
      }
      sliding[i] = types[i] == "sliding_attention";
    }
    return sliding;
  }
  if (fields.IsList(kWindowPattern)) {
    const auto flags = TRY(fields.PerLayer(kWindowPattern, n_layers, {0, 1}));
    sliding.assign(flags.begin(), flags.end());
    return sliding;
  }
  const Field period_field = fields.Has({"", "_sliding_window_pattern"})
                                 ? Field{"", "_sliding_window_pattern"}
                                 : kWindowPattern;
  const int64_t period = TRY(fields.IntOr(period_field, default_period, {0, kLayers.max}));
  for (int64_t i = 0; i < n_layers; ++i) sliding[i] = period == 0 || (i + 1) % period != 0;
  return sliding;
}

Result<> SetWindows(const Fields& fields, const std::vector<bool>& sliding, ModelSpec* spec) {
  const int64_t window = TRY(fields.IntOr(kWindow, 0, {0, int64_t{1} << 31}));
  for (size_t i = 0; i < spec->layers.size(); ++i) {
    if (sliding[i]) spec->layers[i].window = window;
  }
  return {};
}

Result<> SetWindowEverywhere(const Fields& fields, ModelSpec* spec) {
  return SetWindows(fields, std::vector<bool>(spec->layers.size(), true), spec);
}

Result<> SetOptionalWindows(const Fields& fields, const std::vector<bool>& slides,
                            ModelSpec* spec) {
  const auto n_layers = static_cast<int64_t>(spec->layers.size());
  if (fields.is_gguf()) {
    if (!fields.Has(kWindowPattern)) return {};
    return SetWindows(fields, TRY(ReadSliding(fields, n_layers, 0)), spec);
  }
  if (!TRY(fields.BoolOr({"", "use_sliding_window"}, false))) return {};
  if (!fields.Has({"", "layer_types"})) return SetWindows(fields, slides, spec);
  return SetWindows(fields, TRY(ReadSliding(fields, n_layers, 0)), spec);
}

std::vector<float> TensorValues(const format::Tensor& tensor) {
  const int64_t n_blocks = static_cast<int64_t>(tensor.data.size()) / tensor.type->block_bytes;
  std::vector<float> values(n_blocks * tensor.type->block_values);
  tensor.type->dequantize(tensor.data.data(), n_blocks, values.data());
  return values;
}

}  // namespace lamina::model::families
