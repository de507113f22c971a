# `make help` says what there is. Everything runs in .venv, which is made when it is first needed.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
BENCH_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := $(shell find CMakeLists.txt libptreetime pytest_ptreetime build_backend -type f -not -path '*/__pycache__/*' -not -path '*/native/*')
C_SOURCES := $(shell find libptreetime tests/programs tests/fuzz examples bench -name '*.[ch]')

.DEFAULT_GOAL := help
.PHONY: help venv native demo test test-fast test-dtrace test-faults test-kernels fuzz mutants goldens lint format bench bench-decision bench-real-decision bench-scale docs release-check build clean
.DELETE_ON_ERROR:

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test]'
	touch $@

venv: $(STAMP) ## make .venv with the package and what its tests need

native: $(STAMP) ## build the native helpers again, and install them into .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .

demo: $(STAMP) ## save a baseline of the example's build, slow one compile down, see it found (a minute)
	$(BIN)/python examples/demo.py

test: $(STAMP) ## run the tests (PYTEST_ARGS=--slow for all of them)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-fast: $(STAMP) ## run the tests that start no process, after every change (under a minute)
	$(BIN)/python -m pytest -q --fast $(PYTEST_ARGS)

# A start of dtrace takes 5 to 10 s: left out is what it can't do differently from what is tried. DTRACE_TESTS=dtrace
# runs it all.
DTRACE_TESTS ?= test_tracer_dtrace or (dtrace and not (closed or available or another_command or session_of_its_own \
  or arguments_are_exact or test_faults)) or (arguments_are_exact and dtrace-not-utf8) \
  or (dtrace-profile and test_faults and (recorder-killed or measurer-killed or build-timed-out-dtrace \
  or ctrl-c))

test-dtrace: $(STAMP) ## the tracer dtrace for real, in a Debian root of its own (root only; minutes the first time)
	PTREETIME_RECORDER=$$($(BIN)/python -c 'from pytest_ptreetime.native import helper; print(helper("ptreetime-recorder"))') \
	  tests/dtrace_root.sh python3 -m pytest -ra -q -n 2 -p no:cacheprovider --ptreetime-tracer=dtrace -k '$(DTRACE_TESTS)' \
	  tests/tracers/test_tracer_contract.py tests/tracers/test_tracer_dtrace.py tests/test_faults.py || test $$? -eq 77

goldens: $(STAMP) ## write the reports' golden files and the table of options anew, to read the difference
	PYTHONPATH=. $(BIN)/python tests/support/report_goldens.py
	PYTHONPATH=. $(BIN)/python tests/support/option_table.py

# The faults that are mounted (a full disk, a read-only directory) and other users' limits need root; the rest does not.
FAULTS ?= 1000
DTRACE_FAULTS ?= 32
FAULT_ARGS ?=

test-faults: $(STAMP) ## inject FAULTS=1000 faults into runs of every tracer, and print what came of them (an hour)
	PYTHONPATH=tests:tests/support $(BIN)/python -m faults --faults $(FAULTS) $(FAULT_ARGS)
	tests/dtrace_root.sh env PYTHONPATH=tests:tests/support python3 -m faults --only dtrace-profile --faults $(DTRACE_FAULTS) || test $$? -eq 77

# An editable installation's import hook would find the sources instead of the mutants.
MUTANTS ?=

mutants: $(STAMP) ## change the code in small ways and see which fast tests notice (MUTANTS='pytest_ptreetime.keys.*', or hours)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8'
	rm -rf mutants
	$(BIN)/mutmut run $(MUTANTS)
	$(BIN)/mutmut results

FUZZ_SECONDS ?= 60
FUZZ_ARGS ?=

fuzz: $(STAMP) ## any bytes to every reader, guided by coverage, FUZZ_SECONDS for each (FUZZ_ARGS: which, --corpus DIR)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: 'atheris>=2.3' || \
	  echo "atheris can't be installed: Python's readers are left out"
	$(BIN)/python tests/fuzz/drive.py --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

# In an emulated machine everything takes ten times as long and more: ptrace goes without the trap of many processes, and
# both without the one that has an upper limit to the cpu time of a short program. Of the tests of ebpf alone, those of
# what differs between kernels.
KERNELS ?= bullseye bookworm trixie trixie-backports
KERNEL_TESTS ?= (ebpf or ptrace) and not (many_short and ptrace) and not reexec and (contract or failed_execs or tracefs)

test-kernels: $(STAMP) ## the tracers ebpf and ptrace on Debian's kernels from 5.10 on, instructions on aarch64, emulated (an hour)
	tests/kernels.sh '$(KERNELS)' $(abspath $(BIN))/python -m pytest -ra -q -p no:cacheprovider -k '$(KERNEL_TESTS)' \
	  tests/tracers/test_tracer_contract.py tests/tracers/test_tracer_ebpf.py || test $$? -eq 77
	PTREETIME_KERNELS='$(KERNELS)' $(BIN)/python -m pytest -ra -q --slow -p no:cacheprovider tests/tracers/test_instructions.py

lint: $(STAMP) ## ruff, mypy, import-linter, promises, and clang-format where there is one
	@status=0; \
	check() { echo "$$@"; "$$@" || status=1; }; \
	check $(BIN)/ruff check .; \
	check $(BIN)/ruff format --check .; \
	check $(BIN)/mypy; \
	check $(BIN)/lint-imports; \
	check $(BIN)/python tests/check_promises.py; \
	if command -v clang-format >/dev/null; then echo clang-format; clang-format --dry-run --Werror $(C_SOURCES) || status=1; \
	else echo 'clang-format is not installed: the C sources were not checked'; fi; \
	exit $$status

format: $(STAMP) ## rewrite the sources as `make lint` wants them
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .
	if command -v clang-format >/dev/null; then clang-format -i $(C_SOURCES); fi

bench: $(STAMP) ## the tables of overhead and of analysis speed (several minutes)
	$(BIN)/python bench/overhead.py
	$(BIN)/python bench/interposer.py
	$(BIN)/python bench/ebpf_start.py
	$(BIN)/python bench/plugin_start.py
	$(BIN)/python bench/analysis.py
	$(BIN)/python bench/matching_speed.py
	$(BIN)/python bench/real_builds.py

bench-decision: $(STAMP) ## false alarms and missed regressions of the decision, simulated (several minutes)
	$(BIN)/python bench/decision.py

bench-real-decision: $(STAMP) ## the same on real builds of this machine (BENCH_ARGS=--full: an hour and more)
	$(BIN)/python bench/real_decision.py $(BENCH_ARGS)

bench-scale: $(STAMP) ## a million processes analysed, 20,000 real ones traced, 5,000 baselines compared (15 minutes)
	$(BIN)/python bench/scale.py $(BENCH_ARGS)
	$(BIN)/python bench/scale_store.py
	$(BIN)/python bench/scale_build.py

docs: $(STAMP) ## the site, in build/docs: warnings are errors
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[docs]'
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

release-check: ## what a release must pass: both distributions on each Python, README's commands (TAG=v1.2.3, TEST_ARGS=...)
	TAG='$(TAG)' TEST_ARGS='$(TEST_ARGS)' .ci/release-check

build: $(STAMP) ## make dist/: the source distribution and the wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	$(BIN)/python -m build

clean: ## remove what was built, .venv too
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache mutants
	$(MAKE) -C examples/calc clean
