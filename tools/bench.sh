#!/usr/bin/env bash
# The microbenchmarks that are built, then the speed of the two real models of the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
make models
for program in build/release/bench/*_bench; do
  if [ -x "$program" ]; then echo "== $(basename "$program")"; "$program"; fi
done
for model in smollm2 gemma3; do
  echo "== $model"
  build/release/lamina bench "${LAMINA_TEST_MODELS:-build/models}/$model.gguf"
done
