#!/bin/bash
# Units compiled for one CPU must define no weak symbol: the linker would keep one copy of an inline
# function for all units, perhaps the one with instructions that this machine lacks.
# usage: check_isa_symbols.sh BUILD_FOLDER
set -euo pipefail
shopt -s nullglob
objects=("$1"/src/kernels/CMakeFiles/lamina_isa_*.dir/*.o "$1"/src/kernels/CMakeFiles/lamina_isa_*.dir/isa/*.o)
if [ ${#objects[@]} -eq 0 ]; then
  echo "no kernel units under $1: build lamina_kernels first" >&2
  exit 1
fi
weak=$(nm --defined-only -A "${objects[@]}" | grep -E ' [WwVvu] ' || true)
if [ -n "$weak" ]; then
  echo "weak symbols in kernel units:" >&2
  echo "$weak" >&2
  exit 1
fi
echo "${#objects[@]} kernel units, no weak symbol"
