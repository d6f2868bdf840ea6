#!/usr/bin/env python3
"""What speculation gains: decode speed with and without it, in turn, on prompts of which half repeat their text.

    tools/bench_speculation.py MODEL [--only NAME,NAME] [--first A --last B] [--speculate MODE] [--draft-model MODEL]

Prompts: tests/data/speculation/prompts.json. Each is measured by `lamina bench --text`, where every answer comes from an
engine that has learned nothing; the ratio is that of the medians. A prompt's line is printed as it is measured, and the means
of both halves at the end.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def measure(args, prompt):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write(prompt["prompt"])
        text.flush()
        command = [args.lamina, "bench", args.model, "--text", text.name, "--speculate", args.speculate]
        command += ["-n", str(args.tokens), "-r", str(args.rounds), "--json"]
        if args.draft_model:
            command += ["--draft-model", args.draft_model]
        if args.threads:
            command += ["--threads", str(args.threads)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--lamina", default=str(ROOT / "build/release/lamina"))
    parser.add_argument("--speculate", default="auto")
    parser.add_argument("--draft-model", default="")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=128, help="most tokens of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="names of prompts")
    parser.add_argument("--first", type=int, default=1, help="number of the first prompt")
    parser.add_argument("--last", type=int, default=1000)
    args = parser.parse_args()

    prompts = json.loads((ROOT / "tests/data/speculation/prompts.json").read_text())
    names = args.only.split(",") if args.only else [prompt["name"] for prompt in prompts]
    ratios = {True: [], False: []}
    for number, prompt in enumerate(prompts, 1):
        if prompt["name"] not in names or not args.first <= number <= args.last:
            continue
        decode = measure(args, prompt)["decode"]
        plain = statistics.median(decode["plain_tokens_per_s"])
        speculating = statistics.median(decode["tokens_per_s"])
        ratio = speculating / plain if plain else 0
        ratios[prompt["repeats"]].append(ratio)
        print(
            f"{prompt['name']:16s} {decode['n']:4d} tokens  {plain:7.1f} -> {speculating:7.1f} tok/s  {ratio:5.2f}x"
            f"  {decode['accepted_tokens']} of {decode['drafted_tokens']} drafted right",
            flush=True,
        )
    for repeats, title in ((True, "repeat their prompt"), (False, "do not")):
        if found := ratios[repeats]:
            print(f"{len(found)} prompts that {title}: mean {statistics.mean(found):.2f}x, least {min(found):.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
