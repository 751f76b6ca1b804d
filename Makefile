# kifabrik: `make demo` installs and plays the main job; `make test` installs and passes the tests.
.DEFAULT_GOAL := help
BIN := .venv/bin
# Tests start some hundred Pythons: each would compile all it imports anew where the environment forbids keeping that.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -q

.PHONY: help install demo demo-supply-chain demo-pharma test soak test-services test-slurm slurm-cluster check format fuzz bench reference lock clean

help: ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

install: .venv/.installed ## make .venv with the locked packages

.venv/.installed: pyproject.toml locks/dev.txt scripts/install
	@scripts/install

demo: install ## play the main job with two parties: seal, train, verify, refuse, erase
	@$(BIN)/python demo/play.py

demo-supply-chain: install ## play a supply-chain study on sealed tables, spread over several runs
	@$(BIN)/python demo/supply_chain.py

demo-pharma: install ## play training on sealed compounds
	@$(BIN)/python demo/pharma.py

test: install ## run all tests
	@$(PYTEST) -n auto --dist loadfile --no-loadscope-reorder

test-services: install ## run the tests against real PostgreSQL, Ceph (Debian's) and SAP's OData server (npm; Node 20)
	@scripts/install-services
	@$(PYTEST) -n auto --dist loadfile tests/services
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
	  KIFABRIK_TEST_POSTGRES=own $(PYTEST) -n auto --dist loadfile tests/unit/stores tests/unit/factory; \
	else echo "PostgreSQL is not installed: its tests are left out"; fi

test-slurm: install ## run the tests against a real Slurm cluster on this machine (root; installs Debian's Slurm)
	@scripts/install-slurm
	@$(PYTEST) tests/slurm

slurm-cluster: install ## build that cluster to play with; docs/slurm.md
	@scripts/install-slurm
	@$(BIN)/python tests/slurm/cluster.py up --folder /tmp/kifabrik-slurm

MINUTES ?= 20
SEED ?=
DATABASE ?= sqlite
OBJECTS ?= folder
PROCESSES ?= 1

soak: install ## mixed runs for MINUTES (20) under kills; SEED plays them again, DATABASE, OBJECTS, PROCESSES say on what
	@[ "$(DATABASE)/$(OBJECTS)/$(PROCESSES)" = sqlite/folder/1 ] || scripts/install-services stores
	@$(BIN)/python -m soak.play --minutes $(MINUTES) --seed "$(SEED)" \
	  --database $(DATABASE) --objects $(OBJECTS) --processes $(PROCESSES)

fuzz: MINUTES = 10
fuzz: install ## attack every parser for MINUTES (10) with made-up bytes; SEED plays them again
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
	  $(BIN)/uv pip install --quiet --require-hashes --no-deps --only-binary :all: -r locks/fuzz.txt
	@$(BIN)/python -m fuzz --minutes $(MINUTES) --seed "$(SEED)"

check: install ## format, lint, types, layers, dependencies
	@$(BIN)/ruff format --no-cache --check --quiet .
	@$(BIN)/ruff check --no-cache --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry src

format: install ## mend what can be mended automatically
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

bench: install ## measure beside peers and limits; docs/benchmarks.md explains
	@$(BIN)/python bench/everything.py

reference: install ## write the reference of commands in docs/cli.md
	@$(BIN)/python scripts/cli_reference.py

lock: install ## resolve the locked packages anew
	@$(BIN)/uv pip compile pyproject.toml --group dev --extra factory --extra node --extra model-signing --extra postgres \
	  --extra maintenance --extra pharma --extra plant --extra s3 --extra sap --extra supply-chain \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o locks/dev.txt
	@$(BIN)/uv pip compile --group fuzz \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o locks/fuzz.txt

clean: ## remove what was made here
	rm -rf .venv demo-folders .pytest_cache .mypy_cache .ruff_cache .hypothesis
