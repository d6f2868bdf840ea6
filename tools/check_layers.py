#!/usr/bin/env python3
"""Checks every #include in src/ against the direction of the house, and CMake's targets against the same table.

The table is docs/architecture.md's drawing: a folder may include its own headers, those of the folders it names here, and
what those may include.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

DIRECT = {
    "base": [],
    "quant": ["base"],
    "kernels": ["quant"],
    "format": ["base", "quant"],
    "tensor": ["kernels"],
    "text": ["format"],
    "model": ["tensor", "format"],
    "store": ["format"],
    "text_bridge": ["text"],
    "engine": ["model", "text"],
    "cli": ["engine", "text_bridge", "store"],
}

# Headers that only the named files may include: a library stays behind one border.
CONFINED = {
    r"^lamina_bridge\.h$": r"^text_bridge/",
    r"^curl/": r"^store/",
    r"^zip\.h$": r"^store/",
    r"^CLI/": r"^cli/",
    r"^pcre2\.h$": r"^text/",
}

# Per-CPU units must have no weak symbols, so they see neither the standard library's templates nor other folders.
ISA_ALLOWED = re.compile(r"^(std\w+\.h|string\.h|math\.h|\w*intrin\.h|arm_neon\.h|simde/.*|kernels/.*|quant/.*)$")


def closure(folder, seen=None):
    seen = set() if seen is None else seen
    for other in DIRECT[folder]:
        if other not in seen:
            seen.add(other)
            closure(other, seen)
    return seen


def check_includes():
    src = ROOT / "src"
    for path in sorted(p for p in src.rglob("*") if p.suffix in (".h", ".cpp", ".inl")):
        relative = path.relative_to(src)
        folder = relative.parts[0]
        if folder not in DIRECT:
            yield f"src/{relative}: folder {folder} is not in the table of tools/check_layers.py"
            continue
        allowed = closure(folder) | {folder}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            where, name = f"src/{relative}:{number}", match[2]
            first = name.split("/")[0]
            if match[1] == '"' and "/" in name and first in DIRECT and first not in allowed:
                yield f"{where}: {folder} may not include {name}"
            elif match[1] == '"' and not (src / name).exists() and not (path.parent / name).exists():
                # The bridge's header lies outside src/; CMake writes .inc files.
                if name != "lamina_bridge.h" and not name.endswith(".inc"):
                    yield f"{where}: {name} is not a file of src/"
            for pattern, files in CONFINED.items():
                if re.match(pattern, name) and not re.search(files, str(relative)):
                    yield f"{where}: {name} belongs behind {files}"
            if relative.parts[:2] == ("kernels", "isa") and not ISA_ALLOWED.match(name):
                yield f"{where}: a per-CPU unit may not include {name}"


def check_cmake():
    for folder in DIRECT:
        lists = ROOT / "src" / folder / "CMakeLists.txt"
        if not lists.exists():
            continue
        match = re.search(r"lamina_library\(\s*" + folder + r"\b([^)]*)\)", lists.read_text())
        if not match:
            yield f"src/{folder}/CMakeLists.txt: no lamina_library({folder} ...)"
            continue
        linked = set(re.findall(r"lamina_(\w+)", match[1]))
        for extra in sorted(linked - closure(folder)):
            yield f"src/{folder}/CMakeLists.txt: links lamina_{extra} against the direction"


def main():
    problems = [*check_includes(), *check_cmake()]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"layers: {len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
