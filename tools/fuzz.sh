#!/usr/bin/env bash
# Runs every fuzz target for SECONDS and prints how much of what it covers was reached: fuzz.sh [SECONDS] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
shift || true
cmake --preset fuzz >/dev/null
cmake --build build/fuzz -j "$(nproc)" --target fuzz_targets
cd build/fuzz/fuzz
for target in ${*:-$(ls ./*.target)}; do
  name=$(basename "$target" .target)
  { read -r seeds; read -r covers; } <"$name.target"
  mkdir -p "corpus/$name"
  if ! LLVM_PROFILE_FILE="$name.profraw" "./$name" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=5 -print_final_stats=1 \
    "corpus/$name" ${seeds:+"$seeds"} >"$name.log" 2>&1; then
    tail -n 60 "$name.log" >&2
    echo "fuzz: $name found an input that fails" >&2
    exit 1
  fi
  runs=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$name.log")
  llvm-profdata-14 merge -sparse "$name.profraw" -o "$name.profdata"
  lines=$(llvm-cov-14 report "./$name" -instr-profile="$name.profdata" 2>/dev/null |
    awk -v re="$covers" '$1 ~ re && NF >= 10 { all += $8; missed += $9 } END { if (all) printf "%.0f%% of %d lines", 100 * (all - missed) / all, all }')
  echo "fuzz: $name: $runs runs/s for $seconds s, reached ${lines:-no lines} of $covers"
done
