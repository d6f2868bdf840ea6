# What people type; everything else is CMake (CMakePresets.json) and the scripts in tools/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
MODEL ?= smollm2:135m-instruct-q4_1
PROMPT ?= Explain in two sentences why the sky is blue.
LAMINA_BRIDGE ?= ON
export LAMINA_BRIDGE

# The tests' Python packages, where tools/setup.sh put them into .venv.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
LAMINA := build/release/lamina
CONFIGURE = cmake --preset $(1) -DLAMINA_BRIDGE=$(LAMINA_BRIDGE) $(2) >/dev/null

.PHONY: run build test test-long models check check-speed fmt bench bench-compare fuzz coverage clean

run:  ## Installs what is missing, builds, pulls a model, answers once.
	@tools/setup.sh build
	@$(call CONFIGURE,release)
	@cmake --build build/release -j $(JOBS) --target lamina
	@$(LAMINA) pull $(MODEL)
	@$(LAMINA) run $(MODEL) "$(PROMPT)" --max-tokens 120 --stats

build:  ## Builds everything.
	@tools/setup.sh
	@$(call CONFIGURE,release)
	@cmake --build build/release -j $(JOBS)

test: build models  ## Builds and runs every test.
	@ctest --test-dir build/release --no-tests=error --output-on-failure -j $(JOBS)

test-long: test  ## Also adds a dummy quantization type and a dummy family by the documented files, builds and tests them.
	@python3 tools/test_long.py

models:  ## The two real models that tests use.
	@[ -n "$${LAMINA_TEST_MODELS:-}" ] || python3 tools/fetch_models.py build/models

check:  ## Format, lint of changed files, layers, links.
	@tools/check.sh

fmt:  ## Formats every C++ and Rust file.
	@git ls-files '*.cpp' '*.h' | xargs clang-format-14 -i
	@if [ $(LAMINA_BRIDGE) = ON ]; then cargo fmt --manifest-path bridge/Cargo.toml; fi

bench:  ## What every kernel reaches of this machine's peak, then the speed of a real model.
	@tools/setup.sh build
	@$(call CONFIGURE,release,-DLAMINA_BENCH=ON)
	@cmake --build build/release -j $(JOBS) --target lamina benchmarks
	@tools/bench.sh

bench-compare:  ## REV=revision: this tree's speed against that one's, in turn.
	@[ -n "$(REV)" ] || { echo "bench-compare: which revision? make bench-compare REV=main"; exit 2; }
	@tools/setup.sh build
	@$(call CONFIGURE,release)
	@$(MAKE) models
	@python3 tools/bench_compare.py "$(REV)"

check-speed:  ## Instructions per token against the stored figures (callgrind).
	@$(call CONFIGURE,release)
	@cmake --build build/release -j $(JOBS) --target lamina
	@$(MAKE) models
	@python3 tools/instructions.py

fuzz:  ## FUZZ_SECONDS (default 600) per target, with clang.
	@tools/fuzz.sh $(or $(FUZZ_SECONDS),600)

coverage:  ## Line coverage of src/ by the tests; writes docs/coverage.md.
	@tools/setup.sh
	@tools/coverage.sh

clean:
	@rm -rf build
