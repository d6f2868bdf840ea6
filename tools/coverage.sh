#!/usr/bin/env bash
# Line coverage of src/ by the tests, all but the long comparisons of tokenizers and templates: prints it per folder and writes
# docs/coverage.md. The kernels' units per CPU are not counted: templates, instantiated per type and CPU.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset coverage >/dev/null
cmake --build build/coverage -j "$(nproc)"
make models
find build/coverage -name '*.gcda' -delete
ctest --test-dir build/coverage -L 'unit|threads|golden|model|store' -j "$(nproc)" --output-on-failure
python3 tools/coverage.py build/coverage docs/coverage.md
