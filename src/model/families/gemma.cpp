#include "model/families/gemma.h"

#include <cmath>

namespace lamina::model::families {
namespace {

/// A flag in Gemma 3's files, "all" or "vision" in Gemma 4's.
Result<bool> IsBidirectional(const Fields& fields) {
  const Field field = {"", "use_bidirectional_attention"};
  const auto text = fields.StringOr(field, "");
  if (text.has_value()) return *text == "all";
  return fields.BoolOr(field, false);
}

}  // namespace

Result<ModelSpec> ReadGemma(const Fields& fields, int64_t period) {
  ModelSpec spec =
      TRY(ReadBase(fields, {.activation = Activation::kGeluTanh, .default_d_head = 256}));
  if (TRY(IsBidirectional(fields))) {
    return Error(Code::kUnimplemented,
                 "use_bidirectional_attention of config.json makes this an embedding model; only "
                 "models that generate text are supported");
  }
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.d_model));
  spec.final_softcap = static_cast<float>(
      TRY(fields.FloatOr({"final_logit_softcapping", "final_logit_softcapping"}, 0.0, 0.0, 1e6)));
  const double softcap =
      TRY(fields.FloatOr({"attn_logit_softcapping", "attn_logit_softcapping"}, 0.0, 0.0, 1e6));
  for (LayerSpec& layer : spec.layers) layer.attention_softcap = static_cast<float>(softcap);
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  TRY(SetWindows(fields, TRY(ReadSliding(fields, n_layers, period)), &spec));
  return spec;
}

Result<> SetGemmaScale(const Fields& fields, size_t n_layers_of_27b, ModelSpec* spec) {
  for (LayerSpec& layer : spec->layers) {
    const bool is_27b = fields.is_gguf() && spec->layers.size() == n_layers_of_27b;
    const double usual = is_27b ? static_cast<double>(spec->d_model) / layer.n_heads : layer.d_head;
    const double scalar = TRY(fields.FloatOr({"", "query_pre_attn_scalar"}, usual, 1e-6, 1e9));
    layer.attention_scale = static_cast<float>(1.0 / std::sqrt(scalar));
  }
  return {};
}

}  // namespace lamina::model::families
