#!/usr/bin/env python3
"""What the speed tools say where they cannot measure: speed_tools_test.py SOURCE_FOLDER"""

import pathlib
import subprocess
import sys
import tempfile


def run(source, *command):
    done = subprocess.run([sys.executable, *map(str, command)], cwd=source, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    if (source / ".git").exists():
        for revision in ("no-such-revision", "--help-me", "HEAD:README.md"):
            code, said = run(source, "tools/bench_compare.py", "--", revision)
            assert code == 1 and f'"{revision}" is no revision' in said and "Traceback" not in said, said

    with tempfile.TemporaryDirectory() as folder:
        build = pathlib.Path(folder)
        (build / "CMakeFiles" / "3.25.1").mkdir(parents=True)
        (build / "CMakeFiles" / "3.25.1" / "CMakeCXXCompiler.cmake").write_text(
            'set(CMAKE_CXX_COMPILER_ID "Other")\nset(CMAKE_CXX_COMPILER_VERSION "99.1")\n')
        code, said = run(source, "tools/instructions.py", "--build", build)
        assert code == 0 and "not compared" in said, said
    print("ok")


if __name__ == "__main__":
    main()
