"""A Hugging Face model of one of the families as GGUF: names, row orders and metadata as llama.cpp's converter writes them.

write_gguf(folder, path) returns what of the configuration GGUF cannot say (empty = nothing): then the two files are different models.
"""
import json
import math

import gguf
import numpy as np
from safetensors.numpy import load_file

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "mixtral": "llama", "ministral3": "mistral3", "smollm3": "smollm3", "phi3": "phi3",
                 "gemma2": "gemma2", "gemma3_text": "gemma3", "gemma4_text": "gemma4", "qwen2": "qwen2", "qwen3": "qwen3",
                 "qwen3_moe": "qwen3moe", "qwen3_5_text": "qwen35", "granite": "granite", "lfm2": "lfm2"}
# Their rotation turns adjacent pairs in GGUF, so rows of queries and keys change places.
ADJACENT = ("llama", "mistral3", "smollm3", "granite")
GAINS_MINUS_ONE = ("gemma2", "gemma3", "qwen35")

NAMES = {
    "embed_tokens": "token_embd", "norm": "output_norm", "embedding_norm": "token_embd_norm",
    "embed_tokens_per_layer": "per_layer_token_embd", "per_layer_model_projection": "per_layer_model_proj",
    "per_layer_projection_norm": "per_layer_proj_norm",
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.qkv_proj": "attn_qkv", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate_up_proj": "ffn_up",
    "block_sparse_moe.gate": "ffn_gate_inp", "mlp.gate": "ffn_gate_inp",
    # LFM2
    "operator_norm": "attn_norm", "ffn_norm": "ffn_norm", "self_attn.out_proj": "attn_output", "self_attn.q_layernorm": "attn_q_norm",
    "self_attn.k_layernorm": "attn_k_norm", "feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
    "conv.conv": "shortconv.conv", "conv.in_proj": "shortconv.in_proj", "conv.out_proj": "shortconv.out_proj",
    # Qwen 3.5
    "linear_attn.in_proj_qkv": "attn_qkv", "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_a": "ssm_alpha",
    "linear_attn.in_proj_b": "ssm_beta", "linear_attn.out_proj": "ssm_out", "linear_attn.norm": "ssm_norm",
    "linear_attn.conv1d": "ssm_conv1d",
    # Gemma 4
    "per_layer_input_gate": "inp_gate", "per_layer_projection": "proj", "post_per_layer_input_norm": "post_norm",
}
GEMMA_NORMS = {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm"}
EXPERTS = {"w1": "ffn_gate_exps", "w3": "ffn_up_exps", "w2": "ffn_down_exps",
           "gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps"}


def pairs_from_halves(x, n_heads):
    return x.reshape(n_heads, 2, x.shape[0] // n_heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


class Converter:
    def __init__(self, config, tensors):
        self.c = config
        self.arch = ARCHITECTURES[config["model_type"]]
        self.tensors = tensors
        self.meta = []  # (key, kind, value)
        self.lost = []
        self.n_layers = config["num_hidden_layers"]
        self.n_heads = config["num_attention_heads"]
        self.n_kv = config.get("num_key_value_heads") or self.n_heads
        self.d_head = config.get("head_dim") or config["hidden_size"] // self.n_heads

    def put(self, key, kind, value):
        if value is not None:
            self.meta.append((f"{self.arch}.{key}", kind, value))

    def v_order(self):
        """GGUF's value head r * n_k + k is Hugging Face's k * (n_v / n_k) + r."""
        n_k, n_v = self.c["linear_num_key_heads"], self.c["linear_num_value_heads"]
        return np.arange(n_v).reshape(n_k, n_v // n_k).T.ravel()

    def tile(self, x, width, axis=0, begin=0):
        rows = (self.v_order()[:, None] * width + np.arange(width)).ravel() + begin
        order = np.concatenate([np.arange(begin), rows])
        return np.take(x, order, axis)

    def layer_tensor(self, name, x):
        """The GGUF name after "blk.N." and the values of a layer's tensor."""
        if name.endswith("A_log"):
            return "ssm_a", self.tile(-np.exp(x), 1)
        if name.endswith("dt_bias"):
            return "ssm_dt.bias", self.tile(x, 1)
        if name == "layer_scalar":
            return "layer_output_scale.weight", x
        stem, suffix = name.rsplit(".", 1)
        gemma = self.arch.startswith("gemma")
        out = GEMMA_NORMS.get(stem) if gemma else None
        if self.arch == "qwen35" and stem == "post_attention_layernorm":
            out = "post_attention_norm"
        out = out or LAYER_NAMES[stem]
        if self.arch in ADJACENT and out in ("attn_q", "attn_k"):
            x = pairs_from_halves(x, self.n_heads if out == "attn_q" else self.n_kv)
        if self.arch in GAINS_MINUS_ONE and stem.endswith("norm") and stem != "linear_attn.norm":
            x = x + np.float32(1)
        if self.arch == "qwen35" and stem.startswith("linear_attn"):
            width, keys = self.c["linear_value_head_dim"], 2 * self.c["linear_num_key_heads"] * self.c["linear_key_head_dim"]
            if out in ("attn_qkv", "ssm_conv1d"):
                x = self.tile(x, width, begin=keys)
            elif out == "attn_gate":
                x = self.tile(x, width)
            elif out in ("ssm_alpha", "ssm_beta"):
                x = self.tile(x, 1)
            elif out == "ssm_out":
                x = self.tile(x, width, axis=1)
        if out in ("ssm_conv1d", "shortconv.conv") and suffix == "weight":
            x = x[:, 0]
        return f"{out}.{suffix}", x

    def all_tensors(self):
        experts = {}
        for name, x in self.tensors.items():
            if name == "lm_head.weight":
                yield "output.weight", x
                continue
            parts = name.removeprefix("model.").split(".")
            if parts[0] != "layers":
                stem = NAMES[parts[0]]
                if self.arch in GAINS_MINUS_ONE and stem == "output_norm":
                    x = x + np.float32(1)
                yield f"{stem}.weight", x
            elif "experts" in parts:
                at = parts.index("experts")
                experts.setdefault((parts[1], EXPERTS[parts[at + 2]]), {})[int(parts[at + 1])] = x
            else:
                out, x = self.layer_tensor(".".join(parts[2:]), x)
                yield f"blk.{parts[1]}.{out}", x
        for (layer, out), parts in experts.items():
            yield f"blk.{layer}.{out}.weight", np.stack([parts[i] for i in range(len(parts))])

    def rope(self):
        c, p = self.c, self.c.get("rope_parameters") or {}
        full = p.get("full_attention", p)
        self.put("rope.freq_base", "f", full.get("rope_theta", 10000.0))
        if "sliding_attention" in p and self.arch in ("gemma3", "gemma4"):
            self.put("rope.freq_base_swa", "f", p["sliding_attention"]["rope_theta"])
        kind, n_rot = full.get("rope_type", "default"), self.d_head
        if self.arch == "phi3" or self.arch == "qwen35":
            n_rot = int(self.d_head * full.get("partial_rotary_factor", 1.0))
        self.n_rot = n_rot
        if kind == "linear":
            self.put("rope.scaling.type", "s", "linear")
            self.put("rope.scaling.factor", "f", full["factor"])
        elif kind == "llama3":
            factors = []
            for i in range(n_rot // 2):
                wave = 2 * math.pi * full["rope_theta"] ** (2 * i / n_rot)
                low, high = full["low_freq_factor"], full["high_freq_factor"]
                original = full["original_max_position_embeddings"]
                smooth = min(max((original / wave - low) / (high - low), 0), 1)
                factors.append(1 / ((1 - smooth) / full["factor"] + smooth))
            yield "rope_freqs.weight", np.array(factors, np.float32)
        elif kind == "yarn":
            self.put("rope.scaling.type", "s", "yarn")
            self.put("rope.scaling.factor", "f", full["factor"])
            self.put("rope.scaling.original_context_length", "u", full["original_max_position_embeddings"])
            self.put("rope.scaling.yarn_beta_fast", "f", full.get("beta_fast"))
            self.put("rope.scaling.yarn_beta_slow", "f", full.get("beta_slow"))
            if full.get("mscale", 1.0) != 1.0:
                self.lost.append("mscale")
            self.put("rope.scaling.yarn_log_multiplier", "f", full.get("mscale_all_dim"))
            self.put("attention.temperature_scale", "f", full.get("llama_4_scaling_beta"))
            if "attention_factor" in full:
                self.put("rope.scaling.attn_factor", "f",
                         full["attention_factor"] / (0.1 * math.log(full["factor"]) + 1.0))
        elif kind == "longrope":
            original = c["original_max_position_embeddings"]
            scale = c["max_position_embeddings"] / original
            self.put("rope.scaling.original_context_length", "u", original)
            self.put("rope.scaling.attn_factor", "f", math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0)
            yield "rope_factors_long.weight", np.array(full["long_factor"], np.float32)
            yield "rope_factors_short.weight", np.array(full["short_factor"], np.float32)
        elif kind == "proportional":
            n_turning = int(full["partial_rotary_factor"] * self.d_full) // 2
            yield "rope_freqs.weight", np.array([1.0 if i < n_turning else 1e30 for i in range(self.d_full // 2)], np.float32)
        elif kind != "default":
            self.lost.append(kind)

    def windows(self):
        c, types = self.c, self.c.get("layer_types")
        window = c.get("sliding_window")
        if self.arch == "phi3":
            self.put("attention.sliding_window", "u", window or 0)
            return
        if self.arch in ("qwen2", "qwen3", "smollm3", "qwen3moe") and not c.get("use_sliding_window"):
            return
        if self.arch in ("qwen35", "lfm2") or not window:
            return
        self.put("attention.sliding_window", "u", window)
        if self.arch not in ("llama", "mistral3", "gemma4") and types:
            flags = [t == "sliding_attention" for t in types]
            default = {"gemma2": 2, "gemma3": 6}.get(self.arch)
            if default is None or flags != [(i + 1) % default != 0 for i in range(len(flags))]:
                self.put("attention.sliding_window_pattern", "ab", flags)

    def family(self):
        """What only some families have."""
        c = self.c
        if self.arch == "granite":
            for key, name in (("attention.scale", "attention_multiplier"), ("embedding_scale", "embedding_multiplier"),
                              ("residual_scale", "residual_multiplier"), ("logit_scale", "logits_scaling")):
                self.put(key, "f", c[name])
        if self.arch.startswith("gemma"):
            self.put("attn_logit_softcapping", "f", c.get("attn_logit_softcapping"))
            self.put("final_logit_softcapping", "f", c.get("final_logit_softcapping"))
            if c.get("query_pre_attn_scalar", self.d_head) != self.d_head:
                self.lost.append("query_pre_attn_scalar")
        if n := c.get("num_local_experts") or c.get("num_experts"):
            self.put("expert_count", "u", n)
            self.put("expert_used_count", "u", c["num_experts_per_tok"])
            if self.arch == "qwen3moe":
                self.put("expert_feed_forward_length", "u", c["moe_intermediate_size"])
                if not c["norm_topk_prob"]:
                    self.lost.append("norm_topk_prob")
        if self.arch == "smollm3" and c["no_rope_layers"] != [int((i + 1) % 4 != 0) for i in range(self.n_layers)]:
            self.lost.append("no_rope_layers")
        if self.arch == "lfm2":
            self.put("shortconv.l_cache", "u", c["conv_L_cache"])
        if self.arch == "qwen35":
            self.put("rope.dimension_sections", "ai", (c["rope_parameters"]["mrope_section"] + [0])[:4])
            self.put("ssm.conv_kernel", "u", c["linear_conv_kernel_dim"])
            self.put("ssm.state_size", "u", c["linear_key_head_dim"])
            self.put("ssm.group_count", "u", c["linear_num_key_heads"])
            self.put("ssm.time_step_rank", "u", c["linear_num_value_heads"])
            self.put("ssm.inner_size", "u", c["linear_num_value_heads"] * c["linear_value_head_dim"])
            self.put("attention.recurrent_layers", "ab", [t == "linear_attention" for t in c["layer_types"]])
        if self.arch == "gemma4":
            self.put("attention.shared_kv_layers", "u", c["num_kv_shared_layers"])
            self.put("embedding_length_per_layer_input", "u", c["hidden_size_per_layer_input"])
            self.put("attention.sliding_window_pattern", "ab", self.sliding)
            self.put("attention.key_length_swa", "u", self.d_head)
            self.put("attention.value_length_swa", "u", self.d_head)
            self.put("rope.dimension_count_swa", "u", self.d_head)

    def sizes(self):
        c = self.c
        width = c["intermediate_size"]
        kv = self.n_kv
        d_key = self.d_head
        if self.arch == "gemma4":
            self.sliding = [t == "sliding_attention" for t in c["layer_types"]]
            self.sliding[-1] = False
            layer = {int(k): v for k, v in c["per_layer_config"].items()}
            of = lambda i, name, other: layer.get(i, {}).get(name, other)
            self.d_full = d_key = of(self.sliding.index(False), "head_dim", self.d_head)
            kv = [of(i, "num_key_value_heads", self.n_kv) for i in range(self.n_layers)]
            kv = kv if len(set(kv)) > 1 else kv[0]
            if c["use_double_wide_mlp"] and c["num_kv_shared_layers"]:
                n = self.n_layers - c["num_kv_shared_layers"]
                width = [width] * n + [2 * width] * (self.n_layers - n)
        if self.arch == "lfm2":
            kv = [self.n_kv if t == "full_attention" else 0 for t in c["layer_types"]]
        self.put("block_count", "u", self.n_layers)
        self.put("context_length", "u", c["max_position_embeddings"])
        self.put("embedding_length", "u", c["hidden_size"])
        self.put("feed_forward_length", "ai" if isinstance(width, list) else "u", width)
        self.put("attention.head_count", "u", self.n_heads)
        self.put("attention.head_count_kv", "ai" if isinstance(kv, list) else "u", kv)
        self.put("attention.layer_norm_rms_epsilon", "f", c.get("rms_norm_eps") or c.get("norm_eps"))
        if "head_dim" in c:
            self.put("attention.key_length", "u", d_key)
            self.put("attention.value_length", "u", d_key)

    def write(self, path):
        self.sizes()
        tensors = list(self.rope())
        if self.arch == "gemma4":
            self.n_rot = self.d_full
        if self.arch not in ("gemma2", "gemma3", "qwen2", "qwen3", "qwen3moe", "lfm2"):
            self.put("rope.dimension_count", "u", self.n_rot)
        self.windows()
        self.family()
        tensors += list(self.all_tensors())
        w = gguf.GGUFWriter(path, self.arch)
        for key, kind, value in self.meta:
            if kind == "u":
                w.add_uint32(key, int(value))
            elif kind == "f":
                w.add_float32(key, float(value))
            elif kind == "s":
                w.add_string(key, value)
            else:
                w.add_array(key, [bool(v) if kind == "ab" else int(v) for v in value])
        for name, x in tensors:
            w.add_tensor(name, np.ascontiguousarray(x, np.float32))
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()


def write_gguf(folder, path):
    config = json.loads((folder / "config.json").read_text())
    converter = Converter(config, load_file(folder / "model.safetensors"))
    converter.write(path)
    return converter.lost
