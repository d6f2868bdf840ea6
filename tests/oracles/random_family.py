#!/usr/bin/env python3
"""A random model like one of tests/data/families, with another seed or other sizes, and the reference's logits.

Needs the Python packages torch and transformers, which no test needs; run by hand when a family changes:

    random_family.py FIXTURE_HF_FOLDER OUT_FOLDER --seed 7 hidden_size=96 'rope_parameters.factor=8.0'

OUT_FOLDER/hf gets config.json and model.safetensors, OUT_FOLDER/expected.safetensors `input_ids` [72], `logits` of one f32 forward
(eager attention) and `logits_f64` of the same in double, where the family can be run so: how far the two are apart is how exact a
comparison can be. Weights are normal with the fixture's mean and deviation per kind of tensor, exact in f16.
"""
import argparse
import json
import pathlib
import re

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM


def kind(name):
    """Tensors of different layers and experts are of one kind."""
    return re.sub(r"\.\d+\.", ".N.", name)


def configure(config, assignments):
    for assignment in assignments:
        path, value = assignment.split("=", 1)
        *parents, last = path.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = json.loads(value)


def statistics(tensors):
    values = {}
    for name, tensor in tensors.items():
        values.setdefault(kind(name), []).append(tensor.ravel())
    return {name: (np.concatenate(v).mean(), np.concatenate(v).std()) for name, v in values.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixture", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("assignments", nargs="*", help="field of config.json=JSON value")
    args = parser.parse_intermixed_args()

    torch.set_num_threads(1)
    config = json.loads((args.fixture / "config.json").read_text())
    configure(config, args.assignments)
    folder = args.out / "hf"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    model = AutoModelForCausalLM.from_config(
        AutoConfig.from_pretrained(folder), attn_implementation="eager", dtype=torch.float32)
    model.save_pretrained(folder)

    fixture = load_file(args.fixture / "model.safetensors")
    known = statistics(fixture)
    widths = {kind(name): tensor.shape[-1] for name, tensor in fixture.items() if tensor.ndim == 2}
    rng = np.random.default_rng(args.seed)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        mean, deviation = known[kind(name)]
        if kind(name) in widths:  # Sums of more inputs stay as large.
            deviation *= (widths[kind(name)] / tensor.shape[-1]) ** 0.5
        tensors[name] = rng.normal(mean, deviation, tensor.shape).astype(np.float16).astype(np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    ids = rng.integers(3, config["vocab_size"], 72)
    expected = {"input_ids": ids.astype(np.int64)}
    with torch.no_grad():
        expected["logits"] = model(torch.tensor(ids)[None]).logits[0].numpy().copy()
        try:
            expected["logits_f64"] = model.double()(torch.tensor(ids)[None]).logits[0].float().numpy().copy()
        except RuntimeError as error:  # Fused experts exist in f32 only.
            print(f"no run in double: {error}")
    save_file(expected, args.out / "expected.safetensors")
    if "logits_f64" in expected:
        print(f"f32 and f64 differ by {np.abs(expected['logits'] - expected['logits_f64']).max():.1e}")


if __name__ == "__main__":
    main()
