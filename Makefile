# make setup | demo | test | quick | lint: everything runs in .venv, made on first use from requirements.lock.
# make lock: requirements.lock again, after pyproject.toml has changed (UPGRADE=--upgrade: with the newest versions).
# make test-wandb: trainings on a real server for W&B's client, openwandb, in .openwandb-venv.
# make test-oldest: the suite with the oldest versions that pyproject.toml allows, in .oldest-venv.
PYTHON ?= python3
VENV := .venv
OLDEST := .oldest-venv
OPENWANDB := .openwandb-venv
BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check
# A worker that died is not started again: xdist would wait for it for ever.
PYTEST := -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0

# The one package that is not in the lock, since its build is chosen by the machine, for instance
# make setup TORCH='torch==2.13.0 --index-url URL'
TORCH := torch==2.13.0

.PHONY: setup demo test test-oldest test-wandb quick lint lock clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) --require-hashes --no-deps -r requirements.lock
	$(BIN)/python $(INSTALL) --no-warn-conflicts $(TORCH)
	$(BIN)/python $(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

demo: setup
	$(BIN)/python -m src.demo

test: setup
	$(BIN)/python $(PYTEST)

test-oldest: setup
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(BIN)/uv pip compile --quiet --python $(OLDEST)/bin/python --resolution lowest-direct --extra dev --extra film pyproject.toml -o $(OLDEST)/requirements.txt
	$(OLDEST)/bin/python $(INSTALL) -r $(OLDEST)/requirements.txt
	$(OLDEST)/bin/python $(PYTEST)

test-wandb: setup
	test -x $(OPENWANDB)/bin/openwandb || ($(PYTHON) -m venv $(OPENWANDB) && $(OPENWANDB)/bin/python $(INSTALL) openwandb==0.5.25)
	OPENWANDB=$(abspath $(OPENWANDB)/bin/openwandb) $(BIN)/python -m pytest -q tests/openwandb tests/tracking

quick: setup
	$(BIN)/python -m tests.quick

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: setup
	echo '$(TORCH)' | $(BIN)/uv pip compile --quiet --config-file lock.toml --constraints - $(UPGRADE) pyproject.toml -o requirements.lock

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache
