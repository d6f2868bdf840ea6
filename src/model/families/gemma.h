// What Gemma 2, 3 and 4 share.
#pragma once

#include "model/families/common.h"

namespace lamina::model::families {

inline constexpr VectorName kGemmaVectors[] = {
    {VectorRole::kMixerNorm, Where::kAll, "attn_norm.weight", "input_layernorm.weight"},
    {VectorRole::kPostMixerNorm, Where::kAll, "post_attention_norm.weight",
     "post_attention_layernorm.weight"},
    {VectorRole::kFfnNorm, Where::kAll, "ffn_norm.weight", "pre_feedforward_layernorm.weight"},
    {VectorRole::kPostFfnNorm, Where::kAll, "post_ffw_norm.weight",
     "post_feedforward_layernorm.weight"},
};

/// Scaled embedding, tanh GELU, softcaps, windows with every `period`-th layer seeing all.
Result<ModelSpec> ReadGemma(const Fields& fields, int64_t period);

/// The scale of q . k: config.json's query_pre_attn_scalar, else d_head, but d_model / n_heads in
/// models of `n_layers_of_27b` layers, which GGUF does not say.
Result<> SetGemmaScale(const Fields& fields, size_t n_layers_of_27b, ModelSpec* spec);

}  // namespace lamina::model::families
