#!/usr/bin/env bash
# Installs what is missing on this machine: Debian packages, Python packages of the tests, and checks cargo.
# Does nothing, quickly, when everything is there. `setup.sh build` leaves out what only tests and checks need.
set -euo pipefail
cd "$(dirname "$0")/.."
scope=${1:-all}

say() { printf 'setup: %s\n' "$*" >&2; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
  local missing=() package
  while read -r package; do
    [[ $scope == build && $package == "# test"* ]] && break
    [[ -z $package || $package == \#* ]] || installed "$package" || missing+=("$package")
  done <tools/packages.txt
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "missing packages, and neither root nor sudo: ${missing[*]}"; exit 1; }
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "apt-get failed; everything it said is in $log"
    exit 1
  fi
  rm -f "$log"
}

# True where the interpreter has a sufficient version of every package in tests/requirements.txt.
has_requirements() {
  "$1" - <<'PYTHON' 2>/dev/null
import re, sys
from importlib.metadata import version, PackageNotFoundError

def numbers(text):
    return [int(part) for part in re.findall(r"\d+", text)[:3]]

for line in open("tests/requirements.txt"):
    match = re.match(r"([A-Za-z0-9_.-]+)\s*(?:>=\s*(\S+))?", line)
    if line.startswith("#") or not match:
        continue
    try:
        if match[2] and numbers(version(match[1])) < numbers(match[2]):
            sys.exit(1)
    except PackageNotFoundError:
        sys.exit(1)
PYTHON
}

install_python() {
  if [ -x .venv/bin/python3 ]; then
    has_requirements .venv/bin/python3 && return
  else
    has_requirements python3 && return
    say "creating .venv for the tests' Python packages"
    python3 -m venv .venv
  fi
  say "installing tests/requirements.txt into .venv"
  .venv/bin/python3 -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt >&2
}

check_cargo() {
  [ "${LAMINA_BRIDGE:-ON}" = OFF ] && return
  local have
  have=$(cargo --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -n 1 || true)
  if [ -z "$have" ] || [ "$(printf '%s\n1.88\n' "$have" | sort -V | head -n 1)" != 1.88 ]; then
    say "chat templates need cargo 1.88 or newer; found ${have:-none}. Debian's own is too old: install Rust with"
    say "rustup (see rust-lang.org/tools/install) and open a new shell. Without Rust: LAMINA_BRIDGE=OFF make ..."
    say "builds everything but chat templates."
    exit 1
  fi
}

# Room for the release and the sanitized builds; a cache larger by the user's own choice stays.
grow_ccache() {
  local max
  max=$(ccache --get-config max_size 2>/dev/null || true)
  case $max in
    "" | [0-4].* | *M | *k) ccache -M 5G >/dev/null ;;
  esac
}

install_packages
check_cargo
grow_ccache
[ "$scope" = build ] || install_python
