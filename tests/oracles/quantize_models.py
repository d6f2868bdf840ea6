#!/usr/bin/env python3
"""Quantized models for quantized_test, each beside an F32 model of its dequantized weights.

usage: quantize_models.py FAMILIES_FOLDER OUT_FOLDER
For every FAMILIES_FOLDER/NAME/model.gguf (F32): NAME.TYPE.gguf and NAME.TYPE.f32.gguf with TYPE Q8_0, Q4_0 and Q4_1, quantized by the
Python package gguf. For the other types, which the package only dequantizes, a Llama of random blocks: wide.TYPE.gguf and
wide.TYPE.f32.gguf; and where a family's model is a multiple of 256 wide, two of those types, random blocks with the spread of what they
replace. Rows that are no multiple of 32 stay F32, as llama.cpp leaves them; such models are written as F16 and BF16 too. Files that are newer than this script stay as they are.
"""
import os
import sys

import gguf
import numpy as np
from gguf import quants

Q = gguf.GGMLQuantizationType
FAMILY_TYPES = [Q.Q8_0, Q.Q4_0, Q.Q4_1]
WIDE_TYPES = [Q.F16, Q.BF16, Q.Q5_0, Q.Q5_1, Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.IQ4_NL, Q.IQ4_XS, Q.MXFP4,
              Q.Q8_0, Q.Q4_0, Q.Q4_1]
FLOAT_TYPES = [Q.F16, Q.BF16]
SUPER_TYPES = [Q.Q4_K, Q.Q2_K, Q.IQ4_XS, Q.Q5_K, Q.Q3_K, Q.MXFP4, Q.Q6_K]
# Byte offsets of the f16 scale and of the f16 minimum's scale in a block; MXFP4 has an exponent.
SCALES = {Q.Q5_0: (0, None), Q.Q5_1: (0, 2), Q.Q2_K: (80, 82), Q.Q3_K: (108, None), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2),
          Q.Q6_K: (208, None), Q.IQ4_NL: (0, None), Q.IQ4_XS: (0, None), Q.Q8_0: (0, None), Q.Q4_0: (0, None), Q.Q4_1: (0, 2)}
# What converters leave in f32.
KEPT = ("ffn_gate_inp.", "shortconv.conv.", "ssm_conv1d.")


def open_writer(path, arch):
    return gguf.GGUFWriter(path, arch)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_pair(writers, name, packed, values, kind):
    """One tensor to the quantized model and, as f32, to the other."""
    writers[0].add_tensor(name, packed, raw_dtype=kind)
    writers[1].add_tensor(name, np.ascontiguousarray(values, np.float32))


def quantize(x, kind, rng):
    """x [..., cols] as blocks of `kind`, or of Q8_0 where its rows are no multiple of kind's blocks."""
    if x.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
        kind = Q.Q8_0
    if kind in FAMILY_TYPES + FLOAT_TYPES:
        return quants.quantize(x, kind), kind
    rows = x.reshape(-1, x.shape[-1])
    return random_blocks(rng, kind, *rows.shape, want=x.std()).reshape(*x.shape[:-1], -1), kind


def quantize_family(source, paths, kind, seed=0):
    rng = np.random.default_rng(seed)
    reader = gguf.GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    writers = [open_writer(p, arch) for p in paths]
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        sub = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        for w in writers:
            w.add_key_value(field.name, field.contents(), field.types[0], sub)
    for t in reader.tensors:
        data = t.data
        if data.ndim >= 2 and (data.shape[-1] % 32 == 0 or kind in FLOAT_TYPES) and not any(k in t.name for k in KEPT):
            packed, packed_kind = quantize(data, kind, rng)
            add_pair(writers, t.name, packed, quants.dequantize(packed, packed_kind), packed_kind)
        else:
            add_pair(writers, t.name, data, data, Q.F32)
    for w in writers:
        finish(w)


def random_blocks(rng, kind, rows, cols, want=None):
    """Packed random rows whose values have mean 0 and standard deviation `want`, else 1 / sqrt(cols)."""
    want = want or 1 / np.sqrt(cols)
    if kind in (Q.F16, Q.BF16):
        return quants.quantize(rng.normal(0, want, (rows, cols)).astype(np.float32), kind)
    values, size = gguf.GGML_QUANT_SIZES[kind]
    n = rows * cols // values
    blocks = rng.integers(0, 256, (n, size), np.uint8)

    def set_half(offset, x):
        blocks[:, offset:offset + 2] = np.frombuffer(np.full(n, x, np.float16).tobytes(), np.uint8).reshape(n, 2)

    def dequantized():
        return quants.dequantize(blocks.reshape(rows, -1), kind).astype(np.float64)

    if kind == Q.MXFP4:
        blocks[:, 0] = 127
        blocks[:, 0] = 127 + np.round(np.log2(want / dequantized().std())).astype(int)
    else:
        d, m = SCALES[kind]
        set_half(d, 1)
        if m is not None:
            set_half(m, 0)
            positive = dequantized().mean()
            set_half(d, 0)
            set_half(m, 1)
            balance = -positive / dequantized().mean()
            set_half(d, 1)
            set_half(m, balance)
            std = dequantized().std()
            set_half(m, balance * want / std)
        else:
            std = dequantized().std()
        set_half(d, want / std)
    return blocks.reshape(rows, -1)


def write_wide(paths, kind, seed):
    rng = np.random.default_rng(seed)
    layers, width, hidden, heads, kv_heads, head, vocab = 1, 768, 768, 4, 2, 64, 256
    writers = [open_writer(p, "llama") for p in paths]
    for w in writers:
        w.add_block_count(layers)
        w.add_context_length(256)
        w.add_embedding_length(width)
        w.add_feed_forward_length(hidden)
        w.add_head_count(heads)
        w.add_head_count_kv(kv_heads)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_key_length(head)
        w.add_value_length(head)
        w.add_rope_dimension_count(head)
        w.add_vocab_size(vocab)

    def matrix(name, rows, cols):
        packed = random_blocks(rng, kind, rows, cols)
        add_pair(writers, name, packed, quants.dequantize(packed, kind), kind)

    def gains(name):
        x = rng.normal(1, 0.1, width).astype(np.float32)
        add_pair(writers, name, x, x, Q.F32)

    matrix("token_embd.weight", vocab, width)
    for i in range(layers):
        gains(f"blk.{i}.attn_norm.weight")
        matrix(f"blk.{i}.attn_q.weight", heads * head, width)
        matrix(f"blk.{i}.attn_k.weight", kv_heads * head, width)
        matrix(f"blk.{i}.attn_v.weight", kv_heads * head, width)
        matrix(f"blk.{i}.attn_output.weight", width, heads * head)
        gains(f"blk.{i}.ffn_norm.weight")
        matrix(f"blk.{i}.ffn_gate.weight", hidden, width)
        matrix(f"blk.{i}.ffn_up.weight", hidden, width)
        matrix(f"blk.{i}.ffn_down.weight", width, hidden)
    gains("output_norm.weight")
    for w in writers:
        finish(w)


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    families, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)

    def write(name, make):
        paths = [f"{out}/{name}.gguf", f"{out}/{name}.f32.gguf"]
        if all(os.path.exists(p) and os.path.getmtime(p) > os.path.getmtime(__file__) for p in paths):
            return
        parts = [p + ".part" for p in paths]
        make(parts)
        for part, path in zip(parts, paths):
            os.replace(part, path)

    for i, family in enumerate(sorted(os.listdir(families))):
        source = f"{families}/{family}/model.gguf"
        if os.path.exists(source):
            width = next(t for t in gguf.GGUFReader(source).tensors if t.name == "token_embd.weight").shape[0]
            others = FLOAT_TYPES if width % 32 else []
            if width % 256 == 0:
                others = [SUPER_TYPES[i % len(SUPER_TYPES)], SUPER_TYPES[(i + 3) % len(SUPER_TYPES)]]
            for kind in FAMILY_TYPES + others:
                write(f"{family}.{kind.name}", lambda paths: quantize_family(source, paths, kind, i))
    for i, kind in enumerate(WIDE_TYPES):
        write(f"wide.{kind.name}", lambda paths: write_wide(paths, kind, 1000 + i))


main()
