#!/usr/bin/env python3
"""Decoding beside a busy process: what is left of the speed, for Lamina and for peers.

usage: bystander.py [--lamina build/release/lamina] [--peer NAME=LLAMA_BENCH ...] [-n 64] [-t 2] [--rounds 5] [--busy 1]
                    [--min 0.45] MODEL.gguf ...
In each round every engine decodes alone and then beside --busy processes that compute all the time. Prints the medians, and
each engine's share of its own undisturbed speed. Exits 1 where Lamina keeps less than --min, or less than a peer
keeps of its own.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

BUSY = "while True: pass"


def lamina(program, options):
    def run(model):
        command = [program, "bench", model, "-p", "0", "-n", str(options.n), "-t", str(options.t), "-r", "1", "--json"]
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return statistics.median(report["decode"]["tokens_per_s"])

    return run


def peer(program, options):
    def run(model):
        command = [program, "-m", model, "-p", "0", "-n", str(options.n), "-t", str(options.t), "-r", "1", "-o", "json"]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(out[out.index("["):])[-1]["avg_ts"]

    return run


def beside(n_busy, run, model):
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(n_busy)]
    try:
        return run(model)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf")
    parser.add_argument("--lamina", default="build/release/lamina")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=LLAMA_BENCH")
    parser.add_argument("-n", type=int, default=64, help="tokens to decode")
    parser.add_argument("-t", type=int, default=2, help="threads")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, default=1, help="busy processes")
    parser.add_argument("--min", type=float, default=0.45, help="least share of the undisturbed speed")
    options = parser.parse_args()

    engines = {"lamina": lamina(options.lamina, options)}
    for spec in options.peer:
        name, program = spec.split("=", 1)
        engines[name] = peer(program, options)

    failed = False
    for model in options.models:
        speeds = {name: ([], []) for name in engines}
        for _ in range(options.rounds):
            for name, run in engines.items():
                speeds[name][0].append(run(model))
                speeds[name][1].append(beside(options.busy, run, model))
        print(f"{pathlib.Path(model).name}: decode {options.n}, {options.t} threads, {options.busy} busy, {options.rounds} rounds")
        kept = {}
        for name, (alone, disturbed) in speeds.items():
            kept[name] = statistics.median(disturbed) / statistics.median(alone)
            print(f"  {name:12s} alone {statistics.median(alone):7.1f} tok/s   beside {statistics.median(disturbed):7.1f} tok/s "
                  f"({min(disturbed):.1f} to {max(disturbed):.1f})   {100 * kept[name]:.0f}%")
        if kept["lamina"] < options.min or kept["lamina"] < max(kept.values()):
            failed = True
            print(f"  below the bar: {100 * options.min:.0f}%, and what each peer keeps")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
