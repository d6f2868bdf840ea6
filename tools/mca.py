#!/usr/bin/env python3
"""Cycles of the matrix products' inner loops, estimated by llvm-mca from compiled objects.

usage: tools/mca.py [--mca llvm-mca-16] [--cpu znver4] [--match REGEX] OBJECT...

For each function whose name matches, the loop with its vpdpbusd (or vdpbf16ps, vfmadd, sdot) is found in the
disassembly. A block inside that only runs once per 256 inputs (scales of K-quants) counts an eighth. Printed:
instructions, loads, spills (memory operands on the stack), products, and cycles per pass of the loop. An estimate:
caches, prefetches and memory are left out.
"""

import argparse
import re
import subprocess
import sys

PRODUCT = re.compile(r"vpdpbusd|vdpbf16ps|vpmaddubsw|vfmadd231ps|vfmadd132ps|vfmadd213ps")


def functions(path, match):
    text = subprocess.run(["objdump", "-dC", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    for part in re.split(r"\n(?=[0-9a-f]{16} <)", text):
        head = re.match(r"[0-9a-f]{16} <(.*)>:\n", part)
        if not head or not re.search(match, head.group(1)):
            continue
        code = []
        for line in part[head.end() :].splitlines():
            m = re.match(r"\s*([0-9a-f]+):\s+(.*)", line)
            if m:
                code.append((int(m.group(1), 16), re.sub(r"\s*(<.*|#.*)$", "", m.group(2)).strip()))
        yield head.group(1), code


def target(instruction):
    m = re.match(r"j\w+\s+([0-9a-f]+)$", instruction)
    return int(m.group(1), 16) if m else None


def products(code):
    n = sum("vpdpbusd" in i or "vdpbf16ps" in i for _, i in code)
    return n or sum(bool(PRODUCT.match(i)) for _, i in code)


def split_loop(code):
    """The instructions of every pass, and those of every eighth."""
    loops = []
    for at, instruction in code:
        to = target(instruction)
        if to is not None and to <= at:
            body = [c for c in code if to <= c[0] <= at]
            if products(body):
                loops.append(body)
    if not loops:
        return None
    most = max(products(b) for b in loops)
    body = min((b for b in loops if products(b) == most), key=len)
    low, high = body[0][0], body[-1][0]
    rare = set()
    for at, instruction in body:
        to = target(instruction)
        if to is None or at == high or instruction.startswith("jmp"):
            continue
        if at < to <= high:  # a block that the jump leaves out
            skipped = [c for c in body if at < c[0] < to]
        elif not low <= to <= high:  # a block elsewhere that jumps back
            skipped = []
            for c in (c for c in code if c[0] >= to):
                skipped.append(c)
                if c[1].startswith(("jmp", "ret")):
                    break
            if not skipped or skipped[-1][1].startswith("ret") or not low <= (target(skipped[-1][1]) or 0) <= high:
                continue
        else:
            continue
        if len(skipped) > 12 and products(skipped) < most / 2:
            rare.update(skipped)
    return [c for c in body if c not in rare], sorted(rare)


def cycles(code, options):
    if not code:
        return 0.0
    source = "\n".join(re.sub(r"^(j\w+)\s+.*", r"\1 loop", i) for _, i in code)
    run = subprocess.run(
        [options.mca, "-mtriple=x86_64", f"-mcpu={options.cpu}", "-iterations=200", "-instruction-info=0", "-resource-pressure=0"],
        input=f"loop:\n{source}\n", capture_output=True, text=True,
    )
    m = re.search(r"Total Cycles:\s+(\d+)", run.stdout)
    if not m:
        sys.exit(f"{options.mca}: {run.stderr.strip()}")
    return int(m.group(1)) / 200


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mca", default="llvm-mca-16")
    parser.add_argument("--cpu", default="znver4")
    parser.add_argument("--match", default="[Tt]ile")
    parser.add_argument("objects", nargs="+")
    options = parser.parse_args()
    print(f"{'function':70} {'instr':>6} {'loads':>6} {'spills':>6} {'prod':>5} {'rare':>5} {'cycles':>7}")
    for path in options.objects:
        for name, code in functions(path, options.match):
            found = split_loop(code)
            if not found:
                continue
            often, rare = found
            loads = [i for _, i in often if re.search(r"\(.*\)", i) and not re.match(r"prefetch|lea|nop|.*,[^(),]*\(%\w+[^()]*\)$", i)]
            spills = [i for _, i in often + rare if re.search(r"\(%r[sb]p[,)]", i) and re.search(r"zmm|ymm", i)]
            total = cycles(often, options) + cycles(rare, options) / 8
            short = re.sub(r"lamina::|kernels::|quant::|\(anonymous namespace\)::|^void ", "", name)
            short = re.sub(r"\(KvType\)", "KvType ", short)
            short = re.sub(r"\(.*", "", short)
            print(f"{short:70} {len(often):6} {len(loads):6} {len(spills):6} {products(often):5} {len(rare):5} {total:7.1f}")


if __name__ == "__main__":
    main()
