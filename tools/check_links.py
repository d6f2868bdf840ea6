#!/usr/bin/env python3
"""Finds links in the project's Markdown that lead to no file or to no heading."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def anchors(path):
    """The anchors of a Markdown file's headings, spelled as code hosts spell them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    for heading in re.findall(r"^#+\s+(.*)$", text, flags=re.M):
        yield re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def problems():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        path = ROOT / name
        text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            linked = (path.parent / file).resolve() if file else path
            if not linked.exists():
                yield f"{name}: {target} does not exist"
            elif anchor and linked.suffix == ".md" and anchor not in anchors(linked):
                yield f"{name}: {target} has no such heading"


def main():
    found = list(problems())
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"links: {len(found)} problems")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
