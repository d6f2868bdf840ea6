#!/usr/bin/env python3
"""The Python package gguf as the oracle of Lamina's GGUF reader and writer.

gguf_oracle.py write FOLDER   writes 20 random files and, beside each, FILE.json with what they hold
gguf_oracle.py check FILE     fails unless FILE is what gguf_oracle_test.cpp wrote
"""

import json
import sys

import gguf
import numpy as np

TYPES = {"F32": 4, "F16": 2, "BF16": 2, "Q8_0": 34 / 32, "Q4_1": 20 / 32}


def write(folder):
    for seed in range(20):
        random = np.random.default_rng(seed)
        path = f"{folder}/{seed}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        metadata = {"general.architecture": "llama"}

        def add(add_one, key, value):
            add_one(key, value)
            metadata[key] = value

        if seed % 3 == 0:
            writer.add_custom_alignment(int(2 ** random.integers(3, 10)))
            metadata["general.alignment"] = writer.data_alignment
        for i in range(int(random.integers(1, 6))):
            add(writer.add_uint8, f"{i}.u8", int(random.integers(0, 2**8)))
            add(writer.add_int8, f"{i}.i8", int(random.integers(-(2**7), 2**7)))
            add(writer.add_uint16, f"{i}.u16", int(random.integers(0, 2**16)))
            add(writer.add_int16, f"{i}.i16", int(random.integers(-(2**15), 2**15)))
            add(writer.add_uint32, f"{i}.u32", int(random.integers(0, 2**32)))
            add(writer.add_int32, f"{i}.i32", int(random.integers(-(2**31), 2**31)))
            add(writer.add_uint64, f"{i}.u64", int(random.integers(0, 2**64, dtype=np.uint64)))
            add(writer.add_int64, f"{i}.i64", int(random.integers(-(2**63), 2**63)))
            add(writer.add_float32, f"{i}.f32", float(np.float32(random.normal())))
            add(writer.add_float64, f"{i}.f64", float(random.normal()))
            add(writer.add_bool, f"{i}.bool", bool(random.integers(0, 2)))
            add(writer.add_string, f"{i}.text", "é" * int(random.integers(1, 40)))
            add(writer.add_array, f"{i}.texts", [str(n) for n in range(int(random.integers(1, 40)))])
            add(writer.add_array, f"{i}.ints", [int(n) for n in random.integers(-9, 9, 5)])
            add(writer.add_array, f"{i}.floats", [0.5, float(np.float32(random.normal()))])
            add(writer.add_array, f"{i}.bools", [True, False, bool(random.integers(0, 2))])
        tensors = {}
        for i in range(int(random.integers(0, 8))):
            name = random.choice(list(TYPES))
            shape = [int(n) for n in random.integers(1, 4, int(random.integers(0, 4)))] + [32]
            n_bytes = int(np.prod(shape) * TYPES[name])
            data = random.integers(0, 256, n_bytes).astype(np.uint8)
            rows = data.reshape(*shape[:-1], -1)
            writer.add_tensor(f"t{i}", rows, raw_dtype=gguf.GGMLQuantizationType[name])
            tensors[f"t{i}"] = {"type": str(name), "shape": shape, "bytes": data.tolist()}
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with open(path + ".json", "w") as file:
            json.dump({"metadata": metadata, "tensors": tensors}, file)


def check(path):
    reader = gguf.GGUFReader(path)

    def field(key, kind):
        found = reader.get_field(key)
        assert found.types[0].name == kind, (key, found.types)
        return found.contents()

    assert field("general.architecture", "STRING") == "llama"
    assert field("number", "UINT32") == 70000
    assert field("small", "UINT16") == 7
    assert field("wide", "UINT64") == 1 << 40
    assert field("negative", "INT32") == -4
    assert field("half", "FLOAT32") == 0.5
    assert field("flag", "BOOL") is True or field("flag", "BOOL") == 1
    assert field("words", "ARRAY") == ["a", "", "é"]
    assert field("numbers", "ARRAY") == [1, -2, 3]
    f, q = reader.tensors
    assert f.name == "f" and f.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert q.name == "q" and q.tensor_type.name == "Q8_0"
    assert q.data.reshape(-1).tolist() == list(range(4 * 34))


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](sys.argv[2])
