#include "model/families.h"

#include <algorithm>
#include <set>
#include <string>

#include "model/families/common.h"

namespace lamina::model {
namespace families {
extern const FamilyCode kLlama, kSmolLm3, kMinistral3, kPhi3, kGemma2, kGemma3, kGemma4, kQwen2,
    kQwen3, kQwen3Moe, kQwen35, kGranite, kLfm2;
}  // namespace families
namespace {

using families::Fields;

/// One family: the names under which files announce it, and its code in families/NAME.cpp.
struct Family {
  std::string_view name;
  std::string_view gguf[2];  ///< general.architecture.
  std::string_view hf[4];    ///< model_type of config.json.
  const families::FamilyCode* code;
};

constexpr Family kFamilies[] = {
    {"llama", {"llama"}, {"llama", "mistral", "mixtral"}, &families::kLlama},
    {"smollm3", {"smollm3"}, {"smollm3"}, &families::kSmolLm3},
    {"ministral3", {"mistral3"}, {"ministral3"}, &families::kMinistral3},
    {"phi3", {"phi3"}, {"phi3"}, &families::kPhi3},
    {"gemma2", {"gemma2"}, {"gemma2"}, &families::kGemma2},
    {"gemma3", {"gemma3"}, {"gemma3_text", "gemma3"}, &families::kGemma3},
    {"gemma4", {"gemma4"}, {"gemma4_text", "gemma4"}, &families::kGemma4},
    {"qwen2", {"qwen2"}, {"qwen2"}, &families::kQwen2},
    {"qwen3", {"qwen3"}, {"qwen3"}, &families::kQwen3},
    {"qwen3moe", {"qwen3moe"}, {"qwen3_moe"}, &families::kQwen3Moe},
    {"qwen35", {"qwen35"}, {"qwen3_5_text", "qwen3_5"}, &families::kQwen35},
    {"granite", {"granite"}, {"granite"}, &families::kGranite},
    {"lfm2", {"lfm2"}, {"lfm2"}, &families::kLfm2},
};

std::string Supported(bool is_gguf) {
  std::string list;
  for (const Family& family : kFamilies) {
    const auto add = [&](std::string_view name) {
      if (!name.empty()) list += (list.empty() ? "" : ", ") + std::string(name);
    };
    if (is_gguf) {
      std::for_each(std::begin(family.gguf), std::end(family.gguf), add);
    } else {
      std::for_each(std::begin(family.hf), std::end(family.hf), add);
    }
  }
  return list;
}

Result<const Family*> FindFamily(const Fields& fields) {
  for (const Family& family : kFamilies) {
    // The tables are padded with empty names.
    const auto is = [&](std::string_view name) {
      return !name.empty() && name == fields.architecture();
    };
    if (fields.is_gguf() ? std::any_of(std::begin(family.gguf), std::end(family.gguf), is)
                         : std::any_of(std::begin(family.hf), std::end(family.hf), is)) {
      return &family;
    }
  }
  return Error(Code::kUnimplemented, "{} '{}' is not supported; supported are {}",
               fields.is_gguf() ? "general.architecture" : "model_type of config.json",
               fields.architecture(), Supported(fields.is_gguf()));
}

Result<> CheckAttention(const ModelSpec& spec, size_t i) {
  const LayerSpec& layer = spec.layers[i];
  const auto bad = [&](std::string_view what, int64_t value, std::string_view must) {
    return Error(Code::kInvalidArgument, "{} of layer {} is {}, but must be {}", what, i, value,
                 must);
  };
  for (int width : {layer.d_head, layer.d_value}) {
    if (width < 1 || width > 512) {
      return bad("the width of attention heads (key_length, value_length, head_dim)", width,
                 "1 to 512");
    }
  }
  if (layer.n_kv_heads < 1 || layer.n_heads % layer.n_kv_heads != 0) {
    return bad("the number of key-value heads (head_count_kv, num_key_value_heads)",
               layer.n_kv_heads, "a divisor of the number of heads");
  }
  if (layer.rope >= 0 && spec.ropes[layer.rope].n_rot > layer.d_head) {
    return bad("the rotated width (rope.dimension_count)", spec.ropes[layer.rope].n_rot,
               "at most the width of a head");
  }
  if (layer.kv_from_layer >= 0) {
    const LayerSpec& giver = spec.layers[layer.kv_from_layer];
    if (giver.n_kv_heads != layer.n_kv_heads || giver.d_head != layer.d_head ||
        giver.d_value != layer.d_value || giver.window != layer.window) {
      return Error(Code::kInvalidArgument,
                   "layer {} shares keys and values of layer {}, but differs from it in heads, "
                   "widths or window",
                   i, layer.kv_from_layer);
    }
  }
  return {};
}

Result<> CheckRecurrent(const ModelSpec& spec, Mixer mixer) {
  if (spec.conv_kernel < 2 || spec.conv_kernel > 8) {
    return Error(Code::kInvalidArgument,
                 "the convolution's width (conv_kernel, l_cache, conv_L_cache) is {}, but must be "
                 "2 to 8",
                 spec.conv_kernel);
  }
  if (mixer != Mixer::kGatedDeltaNet) return {};
  for (int width : {spec.d_k_head, spec.d_v_head}) {
    if (width < 1 || width > 256) {
      return Error(Code::kInvalidArgument,
                   "the width of linear attention heads (ssm.state_size, linear_key_head_dim, "
                   "linear_value_head_dim) is {}, but must be 1 to 256",
                   width);
    }
  }
  if (spec.n_k_heads < 1 || spec.n_v_heads < 1 || spec.n_v_heads % spec.n_k_heads != 0) {
    return Error(Code::kInvalidArgument,
                 "{} value heads (ssm.time_step_rank, linear_num_value_heads) are no multiple of "
                 "{} key heads (ssm.group_count, linear_num_key_heads)",
                 spec.n_v_heads, spec.n_k_heads);
  }
  return {};
}

/// What the kernels take unchecked.
Result<> Check(const ModelSpec& spec) {
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.layers[i].mixer == Mixer::kAttention) {
      TRY(CheckAttention(spec, i));
    } else {
      TRY(CheckRecurrent(spec, spec.layers[i].mixer));
    }
  }
  return {};
}

/// A bias that the forward pass has no place for would change every answer in silence.
Result<> CheckBiasesUsed(const format::ModelSource& source, const TensorPlan& plan) {
  std::set<const format::Tensor*> used;
  for (const LayerPlan& layer : plan.layers) {
    for (const VectorPlan& vector : layer.vectors) used.insert(vector.tensor);
  }
  const families::TensorFinder find(source);
  for (const format::Tensor& tensor : source.tensors()) {
    const std::string_view name = tensor.name;
    const bool is_bias = name.size() > 5 && name.substr(name.size() - 5) == ".bias";
    if (!is_bias || used.count(&tensor) > 0) continue;
    if (find.IsOfLayer(name, plan.layers.size())) {
      return Error(Code::kUnimplemented, "tensor {} is a bias that this family does not support",
                   name);
    }
  }
  return {};
}

}  // namespace

Result<ModelSpec> ReadSpec(const format::ModelSource& source) {
  const Fields fields = TRY(Fields::Open(source));
  const Family* family = TRY(FindFamily(fields));
  ModelSpec spec = TRY(family->code->read(fields));
  spec.family = family->name;
  TRY(Check(spec));
  return spec;
}

Result<TensorPlan> PlanTensors(const format::ModelSource& source, const ModelSpec& spec) {
  for (const Family& family : kFamilies) {
    if (family.name != spec.family) continue;
    TensorPlan plan = TRY(family.code->plan(source, spec));
    TRY(CheckBiasesUsed(source, plan));
    return plan;
  }
  return Error(Code::kInternal, "no family '{}'", spec.family);
}

}  // namespace lamina::model
