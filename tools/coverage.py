#!/usr/bin/env python3
"""Sums gcov's lines per folder of src/: coverage.py BUILD_FOLDER OUT.md"""

import collections
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def covered_lines(build):
    """(file, line) -> executed by any program; a header's line counts once for all units that include it."""
    lines = collections.defaultdict(bool)
    data = [str(path) for path in build.rglob("*.gcda") if "/src/" in str(path)]
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(data), 50):
            subprocess.run(["gcov", "--json-format", *data[start:start + 50]], cwd=folder, check=True, capture_output=True)
            for path in pathlib.Path(folder).glob("*.gcov.json.gz"):
                with gzip.open(path) as file:
                    report = json.load(file)
                for entry in report["files"]:
                    name = os.path.normpath(os.path.join(report["current_working_directory"], entry["file"]))
                    name = entry["file"] if entry["file"].startswith("src/") else os.path.relpath(name, ROOT)
                    name = name.removeprefix("./")
                    if name.startswith("src/"):
                        for line in entry["lines"]:
                            lines[name, line["line_number"]] |= line["count"] > 0
                path.unlink()
    return lines


def main():
    build, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    total, covered = collections.Counter(), collections.Counter()
    for (name, _), hit in covered_lines(build).items():
        folder = "/".join(name.split("/")[:2])
        for key in (folder, "all"):
            total[key] += 1
            covered[key] += hit
    rows = sorted(key for key in total if key != "all") + ["all"]
    table = "\n".join(f"| {key} | {total[key]} | {100 * covered[key] / total[key]:.1f}% |" for key in rows)
    text = f"""# Line coverage

By the tests with the labels unit, threads, golden, model and store, as `make coverage` measures it with gcov. Not counted: the units of
`src/kernels/isa` and what they include (compiled once per CPU and type, not instrumented), and the long comparisons with other tokenizers and templates.

| folder | lines | covered |
|---|---|---|
{table}
"""
    out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
