#!/usr/bin/env python3
"""Random models like those of tests/data/families, with other seeds and sizes, and the reference's logits.

Needs the Python packages torch and transformers, which no test needs; run by hand when a family or a kernel changes:

    random_family.py FAMILIES_FOLDER OUT_FOLDER [PATTERN ...]      every variant below whose name matches
    LAMINA_TEST_FAMILIES=OUT_FOLDER build/release/tests/model/family_test
    quantize_models.py OUT_FOLDER QUANTIZED_FOLDER && LAMINA_TEST_FAMILIES=... LAMINA_TEST_QUANTIZED=... quantized_test

FAMILIES_FOLDER is where the fixtures lie unpacked (build/release/test_data/families). OUT_FOLDER/NAME gets what a fixture has: hf/,
model.gguf (unless GGUF cannot say what the variant is) and expected.safetensors with `input_ids` [72], `logits` of one f32 forward (eager
attention), `greedy`, the continuation of the first 24, and `logits_f64` of the same in double, where the family can be run so: how far
the two are apart is how exact a comparison can be. --small writes tests/data/variants.tar.xz's models instead. Weights are normal with the fixture's mean and deviation per kind of tensor, exact in f16.
"""
import argparse
import fnmatch
import json
import pathlib
import re
import tarfile

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

import gguf_of_hf

EVERY_4TH = ["linear_attention"] * 3 + ["full_attention"]


def sizes(hidden, heads, kv, ff, layers=None, head=None, vocab=None):
    out = {"hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv, "intermediate_size": ff}
    if layers is not None:
        out["num_hidden_layers"] = layers
    if head is not None:
        out["head_dim"] = head
    if vocab is not None:
        out["vocab_size"] = vocab
    return out


def longrope(n_rot, original):
    return {"original_max_position_embeddings": original, "rope_parameters.original_max_position_embeddings": original,
            "rope_parameters.long_factor": [1 + 0.7 * i for i in range(n_rot // 2)],
            "rope_parameters.short_factor": [1 + 0.03 * i for i in range(n_rot // 2)]}


def linear_rope(factor, theta=10000.0):
    return {"rope_parameters": {"rope_type": "linear", "factor": factor, "rope_theta": theta}}


YARN = {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 32}}
LLAMA3 = {"rope_parameters": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                              "original_max_position_embeddings": 64, "rope_theta": 10000.0}}
DYNAMIC = {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}}


def gemma_layers(*kinds):
    return {"num_hidden_layers": len(kinds), "layer_types": [{"s": "sliding_attention", "f": "full_attention", "c": "conv"}[k] for k in kinds]}


def qwen35_layers(n):
    return {"num_hidden_layers": n, "layer_types": (EVERY_4TH * n)[:n]}


def delta(n_k, n_v, d_k, d_v, conv=4):
    return {"linear_num_key_heads": n_k, "linear_num_value_heads": n_v, "linear_key_head_dim": d_k, "linear_value_head_dim": d_v,
            "linear_conv_kernel_dim": conv}


def mrope(n_rot, head):
    half = n_rot // 2
    return {"rope_parameters.partial_rotary_factor": n_rot / head, "rope_parameters.mrope_section": [half - 2 * (half // 3), half // 3, half // 3]}


# name: (fixture, changes). A key with dots changes a field of a nested object.
VARIANTS = {
    "llama-a": ("llama", {**sizes(60, 5, 1, 92, 2, 12, 61)}),
    "llama-b": ("llama", {**sizes(96, 3, 3, 200, 6, 36, 509), "tie_word_embeddings": True}),
    "llama-c": ("llama", {**sizes(40, 2, 1, 50, 2, 256, 131)}),
    "llama-d": ("llama", {**sizes(128, 8, 2, 96, 2, 20, 300), **linear_rope(3.0)}),
    "llama-e": ("llama", {**sizes(48, 4, 4, 64, 2, 4, 77), "attention_bias": True}),
    "llama-f": ("llama", {**sizes(256, 8, 2, 512, 2, 32, 512), **YARN}),
    "llama-g": ("llama", {**sizes(72, 6, 3, 100, 2, 80, 101), **DYNAMIC}),
    "llama-h": ("llama", {**sizes(640, 10, 5, 832, 2, 64, 512)}),
    "llama31-a": ("llama31", {**sizes(66, 3, 1, 74, 3, 22, 97)}),
    "llama31-b": ("llama31", {**sizes(256, 4, 1, 256, 2, 64, 512), "rope_parameters.original_max_position_embeddings": 16}),
    "mistral-swa-a": ("mistral-swa", {**sizes(64, 4, 1, 96, 3, 16, 512), "sliding_window": 1}),
    "mistral-swa-b": ("mistral-swa", {**sizes(52, 4, 2, 70, 4, 18, 83), "sliding_window": 3}),
    "mistral-swa-c": ("mistral-swa", {**sizes(256, 4, 4, 256, 2, 96, 201), "sliding_window": 7, "tie_word_embeddings": True}),
    "mistral-swa-d": ("mistral-swa", {**sizes(96, 6, 2, 96, 2, 112, 512), "sliding_window": 100}),
    "mixtral-a": ("mixtral", {**sizes(52, 4, 1, 44, 2, 20, 91), "num_local_experts": 5, "num_experts_per_tok": 1}),
    "mixtral-b": ("mixtral", {**sizes(96, 3, 3, 96, 2, 32, 512), "num_local_experts": 16, "num_experts_per_tok": 5}),
    "mixtral-c": ("mixtral", {**sizes(256, 4, 2, 256, 2, 64, 257), "num_local_experts": 3, "num_experts_per_tok": 3, "sliding_window": 9}),
    "ministral3-a": ("ministral3", {**sizes(84, 7, 1, 60, 3, 24, 111), "rope_parameters.factor": 8.0, "rope_parameters.original_max_position_embeddings": 16}),
    "ministral3-b": ("ministral3", {**sizes(256, 4, 4, 256, 2, 64, 512), "rope_parameters.mscale_all_dim": 0.7, "rope_parameters.llama_4_scaling_beta": 0.3, "rope_parameters.beta_fast": 8.0}),
    "smollm3-a": ("smollm3", {**sizes(60, 5, 5, 84, 5, vocab=121), "no_rope_layers": [1, 1, 1, 0, 1], "layer_types": ["full_attention"] * 5}),
    "smollm3-b": ("smollm3", {**sizes(128, 4, 1, 160, 4, vocab=400), "no_rope_layers": [1, 1, 1, 0], "use_sliding_window": True, "sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"] * 2}),
    "smollm3-c": ("smollm3", {**sizes(256, 8, 2, 256, 4), "tie_word_embeddings": False}),
    "phi3-a": ("phi3", {**sizes(60, 5, 1, 50, 2, vocab=99), "sliding_window": 3}),
    "phi3-b": ("phi3", {**sizes(256, 4, 2, 256, 2), "sliding_window": 300, "tie_word_embeddings": True}),
    "phi3-longrope-a": ("phi3-longrope", {**sizes(72, 3, 3, 66, 3, vocab=103), **longrope(24, 40)}),
    "phi3-longrope-b": ("phi3-longrope", {**sizes(256, 8, 4, 256, 2), **longrope(32, 100)}),
    "phi4-a": ("phi4", {**sizes(80, 4, 1, 122, 4, vocab=203), "rope_parameters.partial_rotary_factor": 0.5, "partial_rotary_factor": 0.5}),
    "phi4-b": ("phi4", {**sizes(256, 2, 1, 256, 2)}),
    "phi4-mini-a": ("phi4-mini", {**sizes(96, 4, 2, 62, 2, vocab=203), **longrope(12, 31), "rope_parameters.partial_rotary_factor": 0.5, "partial_rotary_factor": 0.5}),
    "phi4-mini-b": ("phi4-mini", {**sizes(256, 4, 1, 256, 2), **longrope(48, 64), "tie_word_embeddings": False}),
    "gemma2-a": ("gemma2", {**sizes(60, 3, 1, 70, head=20, vocab=115), **gemma_layers(*"sfsfs"), "sliding_window": 1, "query_pre_attn_scalar": 20}),
    "gemma2-b": ("gemma2", {**sizes(96, 4, 4, 128, head=36, vocab=512), **gemma_layers(*"sf"), "sliding_window": 100, "query_pre_attn_scalar": 24, "final_logit_softcapping": 5.0, "attn_logit_softcapping": 3.0}),
    "gemma2-c": ("gemma2", {**sizes(256, 2, 1, 512, head=256, vocab=512), **gemma_layers(*"sfs"), "sliding_window": 7, "query_pre_attn_scalar": 256}),
    "gemma3-a": ("gemma3", {**sizes(44, 4, 1, 52, head=28, vocab=117), **gemma_layers(*"sssssfs"), "sliding_window": 3, "query_pre_attn_scalar": 28}),
    "gemma3-b": ("gemma3", {**sizes(96, 3, 3, 128, head=80, vocab=512), **gemma_layers(*"sfsff"), "sliding_window": 7, "query_pre_attn_scalar": 80,
                            "rope_parameters.full_attention": {"rope_theta": 1e6, "rope_type": "linear", "factor": 8.0}}),
    "gemma3-c": ("gemma3", {**sizes(256, 4, 1, 256, head=256, vocab=512), **gemma_layers(*"ssf"), "sliding_window": 33, "query_pre_attn_scalar": 256}),
    "gemma4-a": ("gemma4", {"sliding_window": 5, "num_kv_shared_layers": 5, "per_layer_config": {"05": {"head_dim": 44}, "11": {"head_dim": 44}}, "head_dim": 20,
                            "hidden_size_per_layer_input": 24, "vocab_size": 300, "vocab_size_per_layer_input": 300, "num_key_value_heads": 1, "intermediate_size": 90, "hidden_size": 68}),
    "gemma4-b": ("gemma4", {"attention_k_eq_v": True, "num_kv_shared_layers": 0, "use_double_wide_mlp": False,
                            "per_layer_config": {"05": {"head_dim": 32, "num_key_value_heads": 1}, "11": {"head_dim": 32, "num_key_value_heads": 1}}}),
    "gemma4-c": ("gemma4", {**sizes(256, 4, 1, 256, head=64), **gemma_layers(*"ssfssf"), "sliding_window": 16, "num_kv_shared_layers": 2, "per_layer_config": {"02": {"head_dim": 128}, "05": {"head_dim": 128}},
                            "hidden_size_per_layer_input": 256}),
    "qwen2-a": ("qwen2", {**sizes(84, 7, 1, 100, 3, vocab=151)}),
    "qwen2-b": ("qwen2", {**sizes(96, 6, 2, 96, 4, vocab=512), "use_sliding_window": True, "sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"] * 2}),
    "qwen2-c": ("qwen2", {**sizes(256, 4, 2, 256, 2), "tie_word_embeddings": False, "layer_types": ["full_attention"] * 2, **YARN}),
    "qwen3-a": ("qwen3", {**sizes(50, 6, 3, 62, 2, 28, 107), "layer_types": ["full_attention"] * 2}),
    "qwen3-b": ("qwen3", {**sizes(96, 3, 1, 96, 8, 112, 512), "layer_types": ["full_attention"] * 8, "tie_word_embeddings": False}),
    "qwen3-c": ("qwen3", {**sizes(256, 4, 4, 256, 2, 128, 512), "layer_types": ["full_attention"] * 2, **YARN}),
    "qwen3moe-a": ("qwen3moe", {**sizes(56, 4, 1, 60, 2, 20, 95), "moe_intermediate_size": 24, "num_local_experts": 7, "num_experts_per_tok": 3}),
    "qwen3moe-b": ("qwen3moe", {**sizes(96, 6, 6, 96, 3, 32, 512), "moe_intermediate_size": 64, "num_local_experts": 32, "num_experts_per_tok": 8}),
    "qwen3moe-c": ("qwen3moe", {**sizes(256, 4, 2, 256, 2, 64, 512), "moe_intermediate_size": 256, "num_local_experts": 6, "num_experts_per_tok": 1}),
    "qwen3moe-d": ("qwen3moe", {**sizes(64, 4, 2, 96, 3, 16, 512), "norm_topk_prob": False, "mlp_only_layers": [1], "num_experts_per_tok": 4}),
    "qwen35-a": ("qwen35", {**sizes(60, 3, 1, 70, head=36, vocab=119), **qwen35_layers(4), **delta(1, 3, 12, 20, 3), **mrope(8, 36)}),
    "qwen35-b": ("qwen35", {**sizes(96, 4, 4, 128, head=48, vocab=512), **qwen35_layers(5), **delta(3, 6, 32, 32), **mrope(12, 48)}),
    "qwen35-c": ("qwen35", {**sizes(256, 4, 2, 256, head=64, vocab=512), **qwen35_layers(4), **delta(2, 4, 64, 64), **mrope(16, 64)}),
    "qwen35-d": ("qwen35", {**sizes(64, 4, 2, 96, head=32, vocab=512), **qwen35_layers(8), **delta(4, 4, 16, 24, 2)}),
    "granite-a": ("granite", {**sizes(60, 5, 1, 90, 4, vocab=177), "attention_multiplier": 0.3, "residual_multiplier": 0.4, "logits_scaling": 7.0}),
    "granite-b": ("granite", {**sizes(256, 8, 8, 256, 2), "tie_word_embeddings": False, "embedding_multiplier": 12.0}),
    "lfm2-a": ("lfm2", {**sizes(60, 5, 1, 84, vocab=99), **gemma_layers(*"cfcc"), "conv_L_cache": 2}),
    "lfm2-b": ("lfm2", {**sizes(256, 4, 2, 256, vocab=512), **gemma_layers(*"fccfc"), "conv_L_cache": 5}),
    "lfm2-c": ("lfm2", {**sizes(64, 4, 2, 96, vocab=512), **gemma_layers(*"ccfcfc"), "conv_bias": True}),
}

# What tests/data/variants.tar.xz holds (--small): few and coarse numbers, each model for what its name says.
SMALL = {
    "heads-of-12": ("llama", sizes(36, 3, 1, 44, 2, 12, 61)),
    "window-of-3": ("mistral-swa", {**sizes(32, 2, 1, 40, 3, 18, 59), "sliding_window": 3}),
    "one-expert-of-5": ("mixtral", {**sizes(32, 2, 2, 28, 2, 20, 57), "num_local_experts": 5, "num_experts_per_tok": 1}),
    "window-of-1": ("gemma2", {**sizes(32, 2, 1, 36, head=20, vocab=71), **gemma_layers(*"sfs"), "sliding_window": 1, "query_pre_attn_scalar": 20}),
    "conv-bias": ("lfm2", {**sizes(40, 2, 1, 44, vocab=59), **gemma_layers(*"cfc"), "conv_L_cache": 4, "conv_bias": True}),
    "delta-12-by-20": ("qwen35", {**sizes(36, 2, 1, 40, head=20, vocab=63), **qwen35_layers(4), **delta(1, 3, 12, 20, 3), **mrope(8, 20)}),
}


def kind(name):
    """Tensors of different layers and experts are of one kind."""
    return re.sub(r"\.\d+\.", ".N.", name)


def configure(config, changes):
    for path, value in changes.items():
        *parents, last = path.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = value
    if config.get("model_type") == "gemma4_text":
        config["vocab_size_per_layer_input"] = config["vocab_size"]


def statistics(tensors):
    values = {}
    for name, tensor in tensors.items():
        values.setdefault(kind(name), []).append(tensor.ravel())
    return {name: (np.concatenate(v).mean(), np.concatenate(v).std()) for name, v in values.items()}


def fill(tensors, fixture, rng, step):
    """Random multiples of `step` with the fixture's statistics; sums of more inputs stay as large."""
    known = statistics(fixture)
    widths = {kind(name): tensor.shape[-1] for name, tensor in fixture.items() if tensor.ndim == 2}
    for name, tensor in tensors.items():
        like = kind(name)
        if like == "lm_head.weight" and like not in known:
            like = "model.embed_tokens.weight"
        if like not in known:
            same = [k for k in known if k.split(".")[-2:] == like.split(".")[-2:]]
            known[like] = known[same[0]] if same else (0.0, 0.1)
        mean, deviation = known[like]
        if like in widths and like != "model.embed_tokens.weight":
            deviation *= (widths[like] / tensor.shape[-1]) ** 0.5
        values = rng.normal(mean, deviation, tensor.shape)
        if step:
            values = np.round(values / step) * step
        tensors[name] = values.astype(np.float16).astype(np.float32)


def greedy(model, ids, n):
    """Each step a fresh forward over the whole sequence; ends early where two tokens are as good."""
    ids = list(ids)
    out = []
    for _ in range(n):
        logits = model(torch.tensor(ids)[None], use_cache=False).logits[0, -1]
        best, second = torch.topk(logits, 2).values.tolist()
        if best - second < 2e-3 * max(1.0, abs(best)):
            break
        out.append(int(logits.argmax()))
        ids.append(out[-1])
    return np.array(out, np.int64)


def make(fixture_hf, out, seed, changes, small):
    config = json.loads((fixture_hf / "config.json").read_text())
    configure(config, changes)
    folder = out / "hf"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), attn_implementation="eager", dtype=torch.float32)
    model.save_pretrained(folder)
    rng = np.random.default_rng(seed)
    tensors = load_file(folder / "model.safetensors")
    fill(tensors, load_file(fixture_hf / "model.safetensors"), rng, 1 / 64 if small else 0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    ids = rng.integers(3, config["vocab_size"], 72)
    expected = {"input_ids": ids.astype(np.int64)}
    note = "no run in double"
    with torch.no_grad():
        expected["logits"] = model(torch.tensor(ids)[None], use_cache=False).logits[0].numpy().copy()
        expected["greedy"] = greedy(model, ids[:24], 24)
        try:
            in_double = model.double()(torch.tensor(ids)[None], use_cache=False).logits[0].float().numpy().copy()
            note = f"f32 and f64 differ by {np.abs(expected['logits'] - in_double).max():.1e}"
            expected["logits_f64"] = in_double
        except RuntimeError:  # Fused experts exist in f32 only.
            pass
    if small:
        expected.pop("logits_f64", None)
        (folder / "generation_config.json").unlink(missing_ok=True)
    save_file(expected, out / "expected.safetensors")
    lost = gguf_of_hf.write_gguf(folder, out / "model.gguf")
    if lost:
        (out / "model.gguf").unlink()
        note += f"; no GGUF, which has no {', '.join(lost)}"
    print(f"{out.name}: largest logit {np.abs(expected['logits']).max():.2f}, {len(expected['greedy'])} greedy, {note}", flush=True)


def anonymous(entry):
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("patterns", nargs="*", default=["*"], help="names of variants, as in a shell")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="the models of tests/data/variants.tar.xz, which is written too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for i, (name, (fixture, changes)) in enumerate((SMALL if args.small else VARIANTS).items()):
        if any(fnmatch.fnmatch(name, p) for p in args.patterns or ["*"]):
            try:
                make(args.families / fixture / "hf", args.out / name, 1000 * args.seed + i, changes, args.small)
            except Exception as error:  # One family's refusal is no reason to leave out the others.
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
    if args.small:
        with tarfile.open(args.out / "variants.tar.xz", "w:xz", preset=9) as archive:
            for name in SMALL:
                archive.add(args.out / name, f"variants/{name}", filter=anonymous)


if __name__ == "__main__":
    main()
