#!/usr/bin/env python3
"""Blocks of every weight type and what the Python package gguf makes of them.

usage: quant_cases.py OUT

OUT holds records: name (16 bytes), n_blocks, block_bytes, block_values (u32 little endian), the
blocks, then n_blocks * block_values f32. Blocks are random bytes, single repeated bytes, and random
bytes under extreme scales: zeros, subnormals, the largest, infinities, NaN.
"""

import pathlib
import re
import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

ALL_TYPES = pathlib.Path(__file__).resolve().parents[2] / "src" / "quant" / "all_types.h"
TYPES = re.findall(r"^ *X\((\w+)\)", ALL_TYPES.read_text(), flags=re.M)
N_RANDOM = 300
EXTREME_HALVES = (0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00)


def blocks_of(type_name: str, block_bytes: int) -> np.ndarray:
    random = np.random.default_rng(sum(type_name.encode()))
    rows = [random.integers(0, 256, (N_RANDOM, block_bytes), dtype=np.uint8)]
    for byte in (0x00, 0x01, 0x0F, 0x3F, 0x55, 0x7F, 0x80, 0xAA, 0xF0, 0xFE, 0xFF):
        rows.append(np.full((1, block_bytes), byte, dtype=np.uint8))
    # Scales are the first or the last bytes of a block in every format.
    for half in EXTREME_HALVES:
        for at in (0, 2, block_bytes - 2, block_bytes - 4):
            if 0 <= at <= block_bytes - 2:
                block = random.integers(0, 256, (1, block_bytes), dtype=np.uint8)
                block[0, at : at + 2] = np.frombuffer(struct.pack("<H", half), dtype=np.uint8)
                rows.append(block)
    for first in range(256):  # MXFP4's exponent: all of them
        block = random.integers(0, 256, (1, block_bytes), dtype=np.uint8)
        block[0, 0] = first
        rows.append(block)
    return np.concatenate(rows)


def main() -> None:
    np.seterr(all="ignore")
    with open(sys.argv[1], "wb") as out:
        for name in TYPES:
            if name not in GGMLQuantizationType.__members__:
                print(f"{name} is not a type of the package gguf: nothing to compare it with")
                continue
            qtype = GGMLQuantizationType[name]
            block_values, block_bytes = GGML_QUANT_SIZES[qtype]
            blocks = blocks_of(name, block_bytes)
            values = dequantize(blocks.reshape(-1, block_bytes), qtype).astype("<f4")
            assert values.size == len(blocks) * block_values
            out.write(name.encode().ljust(16, b"\0"))
            out.write(struct.pack("<3I", len(blocks), block_bytes, block_values))
            out.write(blocks.tobytes())
            out.write(values.tobytes())


if __name__ == "__main__":
    main()
