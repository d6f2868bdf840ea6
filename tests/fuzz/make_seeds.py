#!/usr/bin/env python3
"""Writes the fuzz targets' first inputs: make_seeds.py FOLDER makes FOLDER/gguf, FOLDER/safetensors, FOLDER/tokenizer.

Small files, right ones and ones with a single fault, so that a fuzzer starts behind every check.
"""

import base64
import json
import pathlib
import random
import struct
import sys

# Value types of GGUF: number -> struct code.
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
# Tensor types: number -> (values, bytes) per block.
TENSOR_TYPES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
                11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2),
                39: (32, 17)}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(rng, fault):
    version = rng.choice([2, 3]) if fault != "version" else rng.choice([0, 1, 4, 0x03000000])
    keys = b""
    n_keys = 0
    alignment = 32
    if rng.random() < 0.4 or fault == "alignment":
        alignment = rng.choice([8, 16, 64, 128])
        stored = alignment if fault != "alignment" else rng.choice([0, 3, 1 << 31])
        keys += text("general.alignment") + struct.pack("<II", 4, stored)
        n_keys += 1
    for kind in rng.sample(sorted(NUMBERS), 4):
        keys += text(f"k{kind}") + struct.pack("<I", kind) + struct.pack("<" + NUMBERS[kind], 1)
        n_keys += 1
    for kind in rng.sample(sorted(NUMBERS), 3):
        count = rng.randrange(4)
        keys += text(f"a{kind}") + struct.pack("<IIQ", 9, kind, count)
        keys += struct.pack("<" + NUMBERS[kind], 1) * count
        n_keys += 1
    keys += text("s") + struct.pack("<I", 8) + text("hello")
    keys += text("tokens") + struct.pack("<IIQ", 9, 8, 3) + text("") + text("a") + text("\u00e9")
    n_keys += 2
    if fault == "nested":
        keys += text("n") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 4, 0)
        n_keys += 1
    rows = data = b""
    n_tensors = rng.randrange(1, 5)
    for i in range(n_tensors):
        kind = rng.choice(sorted(TENSOR_TYPES))
        values, n_bytes = TENSOR_TYPES[kind]
        shape = [values * rng.randrange(1, 3)] + [rng.randrange(1, 3) for _ in range(rng.randrange(3))]
        if fault == "shape":
            shape[-1] = rng.choice([0, (1 << 42) + 1, 1 << 63])
        if fault == "type":
            kind = rng.choice([4, 9, 19, 99])
        rows += text(f"t{i}") + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        offset = len(data) if fault != "offset" else rng.choice([4, 1 << 40, (1 << 64) - 32])
        rows += struct.pack("<IQ", kind, offset)
        size = n_bytes
        for dimension in shape:
            size *= dimension
        size //= values
        if size < 1 << 20:
            data += bytes(size)
            data += bytes(-len(data) % alignment)
    header = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys) + keys + rows
    return header + bytes(-len(header) % alignment) + data


def safetensors(rng, fault):
    header = {}
    if rng.random() < 0.5:
        header["__metadata__"] = {"format": "pt"}
    end = 0
    for i in range(rng.randrange(1, 6)):
        dtype, n_bytes = rng.choice([("F32", 4), ("F16", 2), ("BF16", 2)])
        shape = [rng.randrange(1, 4) for _ in range(rng.randrange(4))]
        begin = end
        for dimension in shape:
            n_bytes *= dimension
        end = begin + n_bytes
        entry = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        if fault == "dtype":
            entry["dtype"] = rng.choice(["I64", "F64", "F8_E4M3"])
        if fault == "gap":
            entry["data_offsets"] = [begin + 2, end + 2]
        if fault == "missing":
            del entry[rng.choice(sorted(entry))]
        header[f"layer.{i}.weight"] = entry
    data = json.dumps(header).encode()
    data += b" " * (-len(data) % 8)
    return struct.pack("<Q", len(data)) + data + bytes(end)


def index(rng):
    names = {f"layer.{i}.weight": f"model-{rng.randrange(3)}.safetensors" for i in range(rng.randrange(1, 9))}
    return json.dumps({"metadata": {"total_size": 12}, "weight_map": names}).encode()


def tokenizer_json(rng):
    tokens = ["<s>", "a", "b", "c", "\u2581", "ab", "abc", "<unk>"] + [f"<0x{i:02X}>" for i in range(0, 256, 51)]
    step = rng.choice([{"type": "ByteLevel", "add_prefix_space": rng.random() < 0.5, "use_regex": True},
                       {"type": "Digits", "individual_digits": True}, {"type": "Metaspace", "prepend_scheme": "first"},
                       {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithNext", "invert": False},
                       {"type": "Split", "pattern": {"Regex": r"\p{L}+|\s+|."}, "behavior": rng.choice(
                           ["Removed", "Isolated", "Contiguous", "MergedWithPrevious"]), "invert": rng.random() < 0.5}])
    merges = [["a", "b"], ["ab", "c"]] if rng.random() < 0.5 else ["a b", "ab c"]
    return json.dumps({
        "added_tokens": [{"id": 0, "content": "<s>", "special": True, "lstrip": rng.random() < 0.5},
                         {"id": len(tokens), "content": "x", "special": False, "single_word": True, "normalized": True}],
        "normalizer": rng.choice([None, {"type": "NFC"}, {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}]),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [step]},
        "decoder": {"type": "Strip", "content": " ", "start": 1},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": rng.random() < 0.5,
                  "ignore_merges": rng.random() < 0.5, "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}})


def sentencepiece(rng):
    def message(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    data = b""
    for i, piece in enumerate(["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "a", "b", "ab", "\u2581\u2581"]):
        kind = (2, 3, 3, 6, 1, 1, 1, 1, 4)[i] if rng.random() < 0.95 else rng.randrange(8)
        data += message(1, message(1, piece.encode()) + b"\x15" + struct.pack("<f", -i) + bytes([0x18, kind]))
    return data + message(2, b"\x18\x02") + message(3, bytes([0x18, rng.randrange(2), 0x20, 0, 0x28, 1]))


def tekken(rng):
    vocab = [{"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None}
             for i, t in enumerate([b"a", b"b", b" ", b"ab", b"\xe4", b" ab"])]
    special = [{"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])]
    config = {"pattern": rng.choice([r"\p{L}+|\s+|.", "a|b"]), "default_vocab_size": 3 + rng.randrange(1, 7),
              "default_num_special_tokens": 3, "version": "v3"}
    return json.dumps({"config": config, "vocab": vocab, "special_tokens": special})


def tokenizer(rng):
    kind = rng.choice("jjsstmmxxx")
    if kind == "j":
        return b"j" + tokenizer_json(rng).encode()
    if kind == "s":
        return b"s" + sentencepiece(rng)
    if kind == "t":
        return b"t" + tekken(rng).encode()
    if kind == "m":
        lines = [f"{chr(rng.choice([1, 1, 1, 2, 3, 4, 6]) + 8 * rng.randrange(4, 12))}{t}"
                 for t in ("a", "b", "ab", "\u0120", "\u0120a", "<s>", "<0x41>", "\u2581", "\u2581a")]
        return "\n".join(["m" + lines[0]] + lines[1:] + ["=", "a b", "\u0120 a", "\u2581 a"]).encode()
    words = ["hello", " ", "'s", "'LL", "123", "\n\n", "\u00e9", "\u4e2d", "e\u0301", "\U0001f600", "<|im_end|>", "<tool>", "!?/"]
    return b"x" + bytes([rng.randrange(256)]) + "".join(rng.choices(words, k=8)).encode()


def main():
    root = pathlib.Path(sys.argv[1])
    rng = random.Random(1)
    for folder in ("gguf", "safetensors", "tokenizer"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    faults = [None] * 40 + ["version", "alignment", "nested", "shape", "type", "offset"] * 3
    for i, fault in enumerate(faults):
        (root / "gguf" / f"{i:03}").write_bytes(gguf(rng, fault))
    for i, fault in enumerate([None] * 36 + ["dtype", "gap", "missing"] * 3):
        (root / "safetensors" / f"{i:03}").write_bytes(safetensors(rng, fault))
    for i in range(8):
        (root / "safetensors" / f"index{i}").write_bytes(index(rng))
    for i in range(80):
        (root / "tokenizer" / f"{i:03}").write_bytes(tokenizer(rng))


if __name__ == "__main__":
    main()
