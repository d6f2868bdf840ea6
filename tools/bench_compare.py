#!/usr/bin/env python3
"""The speed of this tree against another revision, in turn, in one run.

usage: bench_compare.py REV [-p 512] [-n 128] [-t N] [--rounds 5] [--models FOLDER]
Builds REV in a git worktree under build/compare/ (removed again; its build folder stays, for the next time), runs both
programs in pairs on the two real models and prints the medians and the median of the pairs' ratios: only what ran within
seconds of each other can be compared. This tree is built in build/release, which must be configured.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ("smollm2.gguf", "gemma3.gguf")


def git(*args):
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True)


def resolve(name):
    done = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if done.returncode != 0:
        sys.exit(f'bench-compare: "{name}" is no revision of this repository; give a commit, a branch or a tag: make bench-compare REV=main')
    return done.stdout.strip()


def make(folder):
    command = ["cmake", "--build", str(folder), "-j", str(os.cpu_count()), "--target", "lamina"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def build_here():
    folder = ROOT / "build" / "release"
    done = make(folder)
    if done.returncode != 0:
        sys.exit(f"bench-compare: this tree does not build:\n{done.stdout[-3000:]}")
    return folder / "lamina"


def build(commit):
    """The program of a commit; only its build folder is left behind."""
    folder = ROOT / "build" / "compare" / commit[:12]
    program = folder / "build" / "lamina"
    source = folder / "source"
    git("worktree", "prune")  # What an interrupted run left.
    if source.exists():
        git("worktree", "remove", "--force", str(source))
    added = git("worktree", "add", "--detach", "--force", str(source), commit)
    if added.returncode != 0:
        sys.exit(f"bench-compare: no worktree of {commit[:12]}: {added.stderr.strip()}")
    try:
        configure = ["cmake", "-S", str(source), "-B", str(folder / "build"), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                     "-DLAMINA_TESTS=OFF", "-DLAMINA_BRIDGE=OFF"]
        done = subprocess.run(configure, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            done = make(folder / "build")
        if done.returncode != 0:
            sys.exit(f"bench-compare: {commit[:12]} does not build:\n{done.stdout[-3000:]}")
    finally:
        git("worktree", "remove", "--force", str(source))
    return program


def speeds(program, model, options):
    command = [program, "bench", model, "-p", str(options.p), "-n", str(options.n), "-r", "1", "--json"]
    command += ["-t", str(options.t)] if options.t else []
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench-compare: {program} failed: {done.stderr.strip()}")
    report = json.loads(done.stdout)
    return {part: statistics.median(report[part]["tokens_per_s"]) for part in ("prefill", "decode")}, report["read_gb_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", metavar="REV")
    parser.add_argument("-p", type=int, default=512, help="tokens of the prompt")
    parser.add_argument("-n", type=int, default=128, help="tokens to decode")
    parser.add_argument("-t", type=int, default=0, help="threads; 0 = the program's default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path(os.environ.get("LAMINA_TEST_MODELS", ROOT / "build" / "models")))
    options = parser.parse_args()

    commit = resolve(options.revision)
    missing = [name for name in MODELS if not (options.models / name).exists()]
    if missing:
        sys.exit(f"bench-compare: {options.models / missing[0]} is missing; run: make models")
    programs = {"this": build_here(), "other": build(commit)}

    print(f"this tree against {options.revision} ({commit[:12]}), {options.rounds} pairs, medians")
    for name in MODELS:
        results = {which: [] for which in programs}
        bandwidth = []
        for i in range(options.rounds):
            for which in ("this", "other") if i % 2 == 0 else ("other", "this"):
                speed, read = speeds(programs[which], options.models / name, options)
                results[which].append(speed)
                bandwidth += read
        print(f"{name}: read {min(bandwidth):.1f} to {max(bandwidth):.1f} GB/s meanwhile")
        for part, n in (("prefill", options.p), ("decode", options.n)):
            this, other = ([speed[part] for speed in results[which]] for which in ("this", "other"))
            ratios = [a / b for a, b in zip(this, other)]
            print(f"  {part} {n}: {statistics.median(this):8.1f} tok/s, {statistics.median(other):8.1f} there: "
                  f"{statistics.median(ratios):.3f}x ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
