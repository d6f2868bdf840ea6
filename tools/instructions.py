#!/usr/bin/env python3
"""Instructions per token of decode and prefill on SmolLM2, held to the stored figures.

usage: instructions.py [--build build/release] [--model PATH] [--store]
Runs `lamina bench` on one thread with the AVX2 kernels under callgrind, which counts what SpeedMeter::RunProfiled executes:
loading, warming up and measuring bandwidth are left out, and the count does not depend on the machine or its load. It
depends on the compiler: tests/data/instructions.json has a figure per compiler version, and another version is not compared.
Exits 1 where a figure rose by over 2%; says so where it fell by over 5%, so that the better one is stored (--store).
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORED = ROOT / "tests" / "data" / "instructions.json"
MEASURED = "*SpeedMeter::RunProfiled*"
SECOND = "*SpeedMeter::Decode*"
ISA = "avx2"
N_PROMPT, N_TOKENS = 40, 8
MOST_RISE, STORE_FALL = 0.02, 0.05


def compiler(build):
    """As CMake names it: "GNU 12.2.0"."""
    (description,) = build.glob("CMakeFiles/*/CMakeCXXCompiler.cmake")
    text = description.read_text()
    return " ".join(re.search(rf'CMAKE_CXX_COMPILER_{field} "([^"]+)"', text)[1] for field in ("ID", "VERSION"))


def count(build, model):
    """Instructions of the measured prefill and of the measured decode."""
    lamina = build / "lamina"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind", "--tool=callgrind", f"--toggle-collect={MEASURED}", f"--dump-before={SECOND}",
            f"--callgrind-out-file={folder}/out",
            lamina, "bench", model, "-t", "1", "-r", "1", "-p", str(N_PROMPT), "-n", str(N_TOKENS), "--json",
        ]
        # None of the user's settings; packed weights in a cache of the build's own, so that loading is short.
        env = {name: value for name, value in os.environ.items() if not name.startswith("LAMINA_")}
        env |= {"LAMINA_ISA": ISA, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": str(build / "cache")}
        subprocess.run([lamina, "run", model, "Hi", "--raw", "--max-tokens", "1"], env=env, capture_output=True)
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"instructions: {' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
        # One dump before Decode, with the prefill; one at the end, with the rest.
        dumps = [pathlib.Path(folder) / "out.1", pathlib.Path(folder) / "out"]
        totals = [int(re.search(r"^totals: (\d+)", dump.read_text(), flags=re.M)[1]) for dump in dumps if dump.exists()]
    if len(totals) != 2 or 0 in totals:
        sys.exit(f"instructions: callgrind counted {totals} in {MEASURED} before and after {SECOND}; are they still called so?")
    return totals


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--model", default=os.environ.get("LAMINA_TEST_MODELS", str(ROOT / "build" / "models")) + "/smollm2.gguf")
    parser.add_argument("--store", action="store_true", help="write the figures as this compiler's")
    options = parser.parse_args()

    if platform.machine() != "x86_64" or " avx2 " not in pathlib.Path("/proc/cpuinfo").read_text():
        print("instructions: not compared, the figures are of AVX2 kernels")
        return
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    name = compiler(options.build)
    if name not in stored and not options.store:
        print(f"instructions: not compared, {STORED.relative_to(ROOT)} has figures of {', '.join(stored) or 'no compiler'}, this is {name}")
        return
    if shutil.which("valgrind") is None:
        sys.exit("instructions: valgrind is missing; tools/setup.sh installs it")
    if not os.path.exists(options.model):
        sys.exit(f"instructions: {options.model} is missing; run: make models")

    prefill, decode = count(options.build.resolve(), options.model)
    # Decoding begins with the prompt's one token.
    now = {"decode": round(decode / (N_TOKENS + 1)), "prefill": round(prefill / N_PROMPT)}
    if options.store:
        stored[name] = now
        STORED.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
        print(f"instructions: stored for {name}: {now}")
        return
    rose = False
    print(f"instructions per token, {name}, {ISA}, one thread")
    for part, value in now.items():
        change = value / stored[name][part] - 1
        print(f"  {part:8s} {value:12,d}   stored {stored[name][part]:12,d}   {100 * change:+.2f}%")
        rose |= change > MOST_RISE
        if change < -STORE_FALL:
            print(f"  {part} needs fewer now: store it with tools/instructions.py --store")
    if rose:
        sys.exit(f"instructions: over {100 * MOST_RISE:.0f}% more than stored. Mend it, or, where the rise buys something, "
                 "store it with tools/instructions.py --store and say in the commit what")


if __name__ == "__main__":
    main()
