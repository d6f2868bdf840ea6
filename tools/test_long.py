#!/usr/bin/env python3
"""Adds a dummy quantization type and a dummy family to a copy of the tree, builds each and tests it.

tests/patches/dummy_type.patch and dummy_family.patch touch exactly the files that docs/adding.md names. After each: the unit tests
that iterate the tables pass, and a model with the dummy in it computes bit for bit what the type or family that it imitates computes.
"""

import pathlib
import shutil
import struct
import subprocess
import sys
import time

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "long"
FIXTURE = "llama"


def run(*command, cwd=COPY, **options):
    print("+", *command, flush=True)
    return subprocess.run([str(part) for part in command], cwd=cwd, check=True, **options)


def copy_tree():
    """The tracked files, over what an earlier run left; files that did not change keep their time, so little is rebuilt."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    wanted = {name for name in files if name and (ROOT / name).exists()}
    for name in wanted:
        source, target = ROOT / name, COPY / name
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for folder in ("src", "tests"):
        for path in (COPY / folder).rglob("*"):
            if path.is_file() and str(path.relative_to(COPY)) not in wanted:
                path.unlink()


def documented_files(row):
    """The files that docs/adding.md names for an addition, with x for its name."""
    for line in (ROOT / "docs" / "adding.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 2 and cells[1] == row:
            return sorted(part for part in cells[2].split("`") if part.startswith("src/"))
    sys.exit(f"docs/adding.md has no row '{row}'")


def apply(patch, row):
    text = (ROOT / "tests" / "patches" / patch).read_text()
    touched = sorted(line[6:].replace("dummy", "x") for line in text.splitlines() if line.startswith("+++ b/"))
    if touched != documented_files(row):
        sys.exit(f"{patch} touches {touched}, docs/adding.md names {documented_files(row)}")
    run("patch", "-p1", "--no-backup-if-mismatch", "-i", ROOT / "tests" / "patches" / patch, stdout=subprocess.DEVNULL)


def build():
    run("cmake", "--preset", "release", stdout=subprocess.DEVNULL)
    started = time.monotonic()
    run("cmake", "--build", "build/release", stdout=subprocess.DEVNULL)
    print(f"built in {time.monotonic() - started:.0f} s", flush=True)


def test():
    run("ctest", "--test-dir", "build/release", "-L", "unit", "--output-on-failure", "-j", "2")


def logits(model):
    ids, out = COPY / "ids.txt", COPY / "logits.safetensors"
    ids.write_text(" ".join(str(i * 7 % 500) for i in range(40)))
    run("build/release/lamina", "logits", model, "--ids", ids, "--out", out, stdout=subprocess.DEVNULL)
    return out.read_bytes()


def quantized(source, out):
    """The fixture with every matrix in Q8_0."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(out, FIXTURE)
    copy_fields(reader, writer, FIXTURE)
    for tensor in reader.tensors:
        if len(tensor.shape) == 2 and tensor.shape[0] % 32 == 0:
            data = gguf.quants.quantize(np.array(tensor.data, dtype=np.float32), gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(tensor.name, data, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    finish(writer)


def renamed(source, out):
    """The fixture with the architecture `dummy`."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(out, "dummy")
    copy_fields(reader, writer, "dummy")
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    finish(writer)


def copy_fields(reader, writer, architecture):
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        renamed_name = architecture + name[len(FIXTURE):] if name.startswith(FIXTURE + ".") else name
        writer.add_key_value(renamed_name, field.contents(), kind, sub)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def with_type(path, out, old, new):
    """Rewrites the type's number in every tensor's entry of a GGUF file."""
    data = bytearray(path.read_bytes())
    changed = 0
    for tensor in gguf.GGUFReader(path).tensors:
        if int(tensor.tensor_type) != old:
            continue
        name = tensor.name.encode()
        entry = data.index(struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.shape)))
        at = entry + 8 + len(name) + 4 + 8 * len(tensor.shape)
        assert struct.unpack_from("<I", data, at)[0] == old
        struct.pack_into("<I", data, at, new)
        changed += 1
    assert changed
    out.write_bytes(data)


def expect_equal(a, b, what):
    if a != b:
        sys.exit(f"{what}: logits differ")
    print(f"{what}: {len(a)} bytes of logits equal")


def main():
    COPY.mkdir(parents=True, exist_ok=True)
    fixture = COPY / "build" / "release" / "test_data" / "families" / FIXTURE / "model.gguf"

    copy_tree()
    apply("dummy_type.patch", "quantization type")
    build()
    test()
    quantized(fixture, COPY / "q8_0.gguf")
    with_type(COPY / "q8_0.gguf", COPY / "dummy.gguf", 8, 250)
    expect_equal(logits(COPY / "q8_0.gguf"), logits(COPY / "dummy.gguf"), "dummy type")

    copy_tree()
    apply("dummy_family.patch", "model family")
    build()
    test()
    renamed(fixture, COPY / "dummy.gguf")
    expect_equal(logits(fixture), logits(COPY / "dummy.gguf"), "dummy family")


if __name__ == "__main__":
    main()
