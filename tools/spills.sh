#!/usr/bin/env bash
# Vector registers that a kernel unit's inner loops keep on the stack: one line per function that touches it.
#
# usage: tools/spills.sh OBJECT.o [NAME_PART]
#
# "spills" counts vector moves to and from the stack; some tiles keep their f32 sums there on purpose, once per block.
set -euo pipefail
objdump -d -C --no-show-raw-insn "$1" | awk -v part="${2:-}" '
  /^[0-9a-f]+ <.*>:$/ {
    if (name != "" && total > 0 && index(name, part)) printf "%5d instructions %4d spills  %s\n", total, spills, name
    name = $0; sub(/^[0-9a-f]+ </, "", name); sub(/>:$/, "", name)
    gsub(/\(anonymous namespace\)::|lamina::|kernels::|quant::/, "", name); sub(/\(unsigned char const\*.*/, "", name)
    total = spills = 0; next
  }
  /^ +[0-9a-f]+:/ {
    ++total
    if ($2 ~ /^v/ && /[xyz]mm/ && /\(%r[sb]p/) ++spills
  }
  END { if (name != "" && total > 0 && index(name, part)) printf "%5d instructions %4d spills  %s\n", total, spills, name }'
