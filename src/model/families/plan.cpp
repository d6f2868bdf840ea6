// Tensor names to TensorPlan.
#include <charconv>
#include <numeric>

#include "model/families/common.h"

namespace lamina::model::families {
namespace {

// Checkpoints of multimodal models keep the text model below further names.
constexpr std::string_view kPrefixes[] = {"model.", "model.language_model.",
                                          "language_model.model.", "language_model.", ""};

bool Applies(Where where, const LayerSpec& layer) {
  switch (where) {
    case Where::kAll:
      return true;
    case Where::kAttention:
      return layer.mixer == Mixer::kAttention;
    case Where::kOwnKeys:
      return layer.mixer == Mixer::kAttention && layer.kv_from_layer < 0;
    case Where::kDense:
      return layer.n_experts == 0;
    case Where::kExperts:
      return layer.n_experts > 0;
    case Where::kDelta:
      return layer.mixer == Mixer::kGatedDeltaNet;
    case Where::kConv:
      return layer.mixer == Mixer::kShortConv;
  }
  return false;
}

bool IsNorm(VectorRole role) {
  switch (role) {
    case VectorRole::kMixerNorm:
    case VectorRole::kPostMixerNorm:
    case VectorRole::kFfnNorm:
    case VectorRole::kPostFfnNorm:
    case VectorRole::kQueryNorm:
    case VectorRole::kKeyNorm:
    case VectorRole::kPostPerLayerNorm:
      return true;
    default:
      return false;
  }
}

/// The order of one layer's query or key rows, or nothing where they are halves already.
std::vector<int32_t> RotaryOrder(const ModelSpec& spec, const LayerSpec& layer, bool keys) {
  if (layer.rope < 0)
    return HalvesFromPairs(keys ? layer.n_kv_heads : layer.n_heads, layer.d_head, layer.d_head);
  return HalvesFromPairs(keys ? layer.n_kv_heads : layer.n_heads, layer.d_head,
                         spec.ropes[layer.rope].n_rot);
}

}  // namespace

std::vector<int32_t> HalvesFromPairs(int64_t n_heads, int64_t d_head, int64_t n_rot) {
  std::vector<int32_t> order(n_heads * d_head);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t head = 0; head < n_heads; ++head) {
    for (int64_t i = 0; i < n_rot / 2; ++i) {
      const int64_t base = head * d_head;
      order[base + i] = static_cast<int32_t>(base + 2 * i);
      order[base + n_rot / 2 + i] = static_cast<int32_t>(base + 2 * i + 1);
    }
  }
  return order;
}

std::vector<int32_t> TapsFirst(int64_t n_channels, int64_t n_taps,
                               const std::vector<int32_t>& channels) {
  std::vector<int32_t> order;
  for (int64_t tap = 0; tap < n_taps; ++tap) {
    for (int64_t c = 0; c < n_channels; ++c) {
      const int64_t channel = channels.empty() ? c : channels[c];
      order.push_back(static_cast<int32_t>(channel * n_taps + tap));
    }
  }
  return order;
}

TensorFinder::TensorFinder(const format::ModelSource& source)
    : source_(&source), is_gguf_(source.kind() == format::ModelSource::Kind::kGguf) {
  prefix_ = kPrefixes[0];
  for (std::string_view prefix : kPrefixes) {
    if (source.Find(std::string(prefix) + "embed_tokens.weight")) {
      prefix_ = prefix;
      break;
    }
  }
}

std::string TensorFinder::LayerName(size_t layer, std::string_view gguf,
                                    std::string_view hf) const {
  return is_gguf_ ? fmt::format("blk.{}.{}", layer, gguf)
                  : fmt::format("{}layers.{}.{}", prefix_, layer, hf);
}

std::string TensorFinder::ModelName(std::string_view gguf, std::string_view hf) const {
  return is_gguf_ ? std::string(gguf) : prefix_ + std::string(hf);
}

const format::Tensor* TensorFinder::InLayer(size_t layer, std::string_view gguf,
                                            std::string_view hf) const {
  if ((is_gguf_ ? gguf : hf).empty()) return nullptr;
  return source_->Find(LayerName(layer, gguf, hf));
}

const format::Tensor* TensorFinder::InModel(std::string_view gguf, std::string_view hf) const {
  return source_->Find(ModelName(gguf, hf));
}

Result<const format::Tensor*> TensorFinder::NeedInLayer(size_t layer, std::string_view gguf,
                                                        std::string_view hf) const {
  if (const format::Tensor* tensor = InLayer(layer, gguf, hf)) return tensor;
  return Error(Code::kInvalidArgument, "tensor {} is missing", LayerName(layer, gguf, hf));
}

Result<const format::Tensor*> TensorFinder::NeedInModel(std::string_view gguf,
                                                        std::string_view hf) const {
  if (const format::Tensor* tensor = InModel(gguf, hf)) return tensor;
  return Error(Code::kInvalidArgument, "tensor {} is missing", ModelName(gguf, hf));
}

bool TensorFinder::IsOfLayer(std::string_view name, size_t n_layers) const {
  const std::string start = is_gguf_ ? "blk." : prefix_ + "layers.";
  if (name.substr(0, start.size()) != start) return false;
  size_t layer = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + start.size(), end, layer);
  return parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '.' && layer < n_layers;
}

MatrixPlan WholeMatrix(const format::Tensor* tensor) {
  int64_t n_rows = 1;
  for (size_t i = 0; i + 1 < tensor->shape.size(); ++i) n_rows *= tensor->shape[i];
  return {.tensor = tensor, .row_begin = 0, .n_rows = n_rows};
}

MatrixPlan RowsOf(const format::Tensor* tensor, int64_t row_begin, int64_t n_rows) {
  return {.tensor = tensor, .row_begin = row_begin, .n_rows = n_rows};
}

VectorPlan WholeVector(const format::Tensor* tensor, VectorPlan::Transform transform) {
  return {.tensor = tensor, .transform = transform};
}

Result<TensorPlan> PlanByNames(const format::ModelSource& source, const ModelSpec& spec,
                               const PlanNames& names) {
  const TensorFinder find(source);
  const auto norm_transform = names.hf_norms_minus_one && !find.is_gguf()
                                  ? VectorPlan::Transform::kPlusOne
                                  : VectorPlan::Transform::kNone;
  const bool reorder = names.gguf_adjacent_pairs && find.is_gguf();
  TensorPlan plan;
  plan.embedding = WholeMatrix(TRY(find.NeedInModel("token_embd.weight", "embed_tokens.weight")));
  if (!spec.tied_head) {
    const format::Tensor* head = source.Find(find.is_gguf() ? "output.weight" : "lm_head.weight");
    if (!head) head = source.Find("language_model.lm_head.weight");
    if (!head) {
      return Error(Code::kInvalidArgument,
                   "tensor {} is missing, and the configuration does not tie it to the embedding",
                   find.is_gguf() ? "output.weight" : "lm_head.weight");
    }
    plan.head = WholeMatrix(head);
  }
  plan.output_norm = WholeVector(
      TRY(find.NeedInModel(names.gguf_output_norm, names.hf_output_norm)), norm_transform);

  plan.layers.resize(spec.layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    for (const MatrixName& name : names.matrices) {
      if (!Applies(name.where, layer)) continue;
      const auto* tensor = TRY(find.NeedInLayer(i, std::string(name.gguf) + ".weight",
                                                std::string(name.hf) + ".weight"));
      MatrixPlan& matrix = plan.layers[i][name.role] = WholeMatrix(tensor);
      if (reorder && (name.role == MatrixRole::kQuery || name.role == MatrixRole::kKey)) {
        matrix.row_order = RotaryOrder(spec, layer, name.role == MatrixRole::kKey);
      }
    }
    for (std::span<const VectorName> list : {names.vectors, names.more_vectors}) {
      for (const VectorName& name : list) {
        if (!Applies(name.where, layer)) continue;
        if (!name.required && !find.InLayer(i, name.gguf, name.hf)) continue;
        VectorPlan& vector = plan.layers[i][name.role] =
            WholeVector(TRY(find.NeedInLayer(i, name.gguf, name.hf)),
                        IsNorm(name.role) ? norm_transform : VectorPlan::Transform::kNone);
        if (reorder && (name.role == VectorRole::kQueryBias || name.role == VectorRole::kKeyBias)) {
          vector.order = RotaryOrder(spec, layer, name.role == VectorRole::kKeyBias);
        }
      }
    }
  }
  return plan;
}

Result<TensorPlan> PlanLlama(const format::ModelSource& source, const ModelSpec& spec) {
  return PlanByNames(
      source, spec,
      {.matrices = kLlamaMatrices, .vectors = kLlamaVectors, .gguf_adjacent_pairs = true});
}

Result<> PlanExperts(const format::ModelSource& source, const ModelSpec& spec,
                     const ExpertNames& names, TensorPlan* plan) {
  const TensorFinder find(source);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    if (layer.n_experts == 0) continue;
    LayerPlan& out = plan->layers[i];
    out[MatrixRole::kRouter] =
        WholeMatrix(TRY(find.NeedInLayer(i, "ffn_gate_inp.weight", names.hf_router)));
    const int64_t d_ff = layer.d_ff, d_model = spec.d_model;
    const format::Tensor* gate = find.InLayer(i, "ffn_gate_exps.weight", "");
    const format::Tensor* fused =
        find.InLayer(i, "ffn_gate_up_exps.weight", "mlp.experts.gate_up_proj");
    const bool stacked = find.is_gguf() || fused;
    for (int64_t e = 0; e < layer.n_experts; ++e) {
      if (!stacked) {
        const auto hf = [&](std::string_view pattern) {
          return fmt::format(fmt::runtime(pattern), e);
        };
        out.expert_gate.push_back(WholeMatrix(TRY(find.NeedInLayer(i, "", hf(names.hf_gate)))));
        out.expert_up.push_back(WholeMatrix(TRY(find.NeedInLayer(i, "", hf(names.hf_up)))));
        out.expert_down.push_back(WholeMatrix(TRY(find.NeedInLayer(i, "", hf(names.hf_down)))));
        continue;
      }
      if (fused && !gate) {
        out.expert_gate.push_back(RowsOf(fused, e * 2 * d_ff, d_ff));
        out.expert_up.push_back(RowsOf(fused, e * 2 * d_ff + d_ff, d_ff));
      } else {
        out.expert_gate.push_back(
            RowsOf(TRY(find.NeedInLayer(i, "ffn_gate_exps.weight", "")), e * d_ff, d_ff));
        out.expert_up.push_back(
            RowsOf(TRY(find.NeedInLayer(i, "ffn_up_exps.weight", "")), e * d_ff, d_ff));
      }
      out.expert_down.push_back(
          RowsOf(TRY(find.NeedInLayer(i, "ffn_down_exps.weight", "mlp.experts.down_proj")),
                 e * d_model, d_model));
    }
  }
  return {};
}

}  // namespace lamina::model::families
