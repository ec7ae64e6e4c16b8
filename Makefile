# Everything a contributor runs. Needs Python 3.11 or newer, make and a package registry.
#
#   make demo  [ARGS=...]   the flights application, on a real Valkey and a real PostgreSQL
#   make test  [ARGS=...]   the tests, in parallel, then the experiments; ARGS goes to pytest, and leaves those out
#   make check              style, types, generated twins, architecture; changes nothing
#   make format             puts style and generated twins right
#   make bench [ARGS=...]   speed beside the peers, in one run; results as data, table and charts
#   make prove [ARGS=...]   the experiments on consistency and faults, each with its control
#   make lock               pins the newest dependencies again
#   make clean              removes what the targets above made

NEW     := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON  ?= $(shell for each in python3.11 python3; do \
	$$each -c '$(NEW)' 2>/dev/null && echo $$each && break; done)
VENV    ?= .venv
WORKERS ?= auto
ARGS    ?=

BIN      := $(VENV)/bin
PIP      := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# The lock files name every package with its hashes; the build tools are among them, so that the
# project itself is built without fetching anything that is not pinned.
LOCKED   := $(PIP) --no-deps --require-hashes -r
OURSELF  := $(PIP) --no-deps --no-build-isolation -e .
TYPED    := $(wildcard src tools demo benchmarks tests/rig tests/proof tests/protocol tests/test_architecture.py)
# On its own and without a package: a module called typing.api would hide Python's.
TYPED_API := $(wildcard tests/typing/*.py)

.PHONY: demo test check format bench prove lock clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	$(BIN)/python -m demo $(ARGS)

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n $(WORKERS) -m "not serial" $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m pytest -m serial)

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks $(ARGS)

prove: $(VENV)/bench.stamp
	PYTHONPATH=src:tests $(BIN)/python -m proof $(ARGS)

check: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/unasync.py --check
	$(BIN)/mypy $(TYPED)
	$(if $(TYPED_API),$(BIN)/mypy --no-explicit-package-bases $(TYPED_API))
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/python tools/unasync.py

$(VENV)/pyvenv.cfg:
	@"$(PYTHON)" -c '$(NEW)' 2>/dev/null || { \
		echo "cachewright needs Python 3.11 or newer; say make PYTHON=/path/to/it" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/demo.stamp: requirements/demo.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(LOCKED) requirements/demo.txt
	$(OURSELF)
	@touch $@

$(VENV)/test.stamp: requirements/test.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(LOCKED) requirements/test.txt
	$(OURSELF)
	@touch $@ $(VENV)/demo.stamp

# A peer that cannot be installed here is left out, and the run says so.
$(VENV)/bench.stamp: requirements/bench.txt tools/install_peers.py pyproject.toml | $(VENV)/test.stamp
	$(BIN)/python tools/install_peers.py requirements/bench.txt
	$(OURSELF)
	@touch $@

# demo.txt and bench.txt take their versions from test.txt, so that one environment serves all.
LOCK := build/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-package cachewright \
	--custom-compile-command "make lock" pyproject.toml requirements/build.in

lock: build/lock/bin/uv
	$(LOCK) --extra dev --output-file requirements/test.txt
	$(LOCK) --extra demo --constraint requirements/test.txt --output-file requirements/demo.txt
	$(LOCK) --extra bench --constraint requirements/test.txt --output-file requirements/bench.txt

build/lock/bin/uv:
	"$(PYTHON)" -m venv build/lock
	build/lock/bin/python -m pip --disable-pip-version-check --quiet install uv

clean:
	rm -rf $(VENV) build dist .demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
