#!/usr/bin/env python3
"""Executes the README's commands as they are written: readme_commands.py SOURCE_FOLDER

Of the make targets, run is executed; test is what executes this; the others, which take minutes, must exist. Every verb of the
table is executed with --help, and the chat command answers a line on standard input.
"""

import pathlib
import re
import subprocess
import sys

SLOW_TARGETS = {"test", "test-long", "check", "bench", "fuzz", "coverage"}


def run(command, source, **options):
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=500, **options)
    if done.returncode != 0:
        sys.exit(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    print(f"ok: {command}")
    return done.stdout + done.stderr


def main():
    source = pathlib.Path(sys.argv[1])
    readme = (source / "README.md").read_text()
    commands = [line for block in re.findall(r"^```sh\n(.*?)^```", readme, flags=re.M | re.S) for line in block.splitlines()]
    commands += re.findall(r"`(make [a-z-]+)`", readme)
    assert "make run" in commands and "make test" in commands
    for command in dict.fromkeys(commands):
        target = re.fullmatch(r"make ([a-z-]+)", command)
        if target and target[1] in SLOW_TARGETS:
            run(["make", "-n", target[1]], source)
        elif target:
            output = run(command.split(), source, stdin=subprocess.DEVNULL)
            assert re.search(r"\d[\d.,]* *(tok/s|tokens/s|tokens per second)", output), f"no speed in:\n{output}"
        else:
            assert run(command.split(), source, input="Name one colour.\n").strip(), f"{command} says nothing"

    lamina = source / "build" / "release" / "lamina"
    table = [line for line in readme.splitlines() if line.startswith("| `lamina ")]
    verbs = {verb for line in table for verb in re.findall(r"`(?:lamina )?([a-z]+)\b[^`]*`", line.split("|")[1])}
    assert len(verbs) >= 12, verbs
    for verb in sorted(verbs):
        run([lamina, "help", verb], source)
        run([lamina, verb, "--help"], source)


if __name__ == "__main__":
    main()
