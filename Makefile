# make run: set everything up and run the main job.   make test: set up and run the tests.
# Needs Python 3.11 and make, nothing else.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test setup dev lint requirements clean

run: setup
	$(BIN)/python run_pipeline.py $(ARGS)

test: setup
	$(BIN)/python -m pytest $(ARGS)

setup: $(VENV)/requirements.done

dev: $(VENV)/requirements-dev.done

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Compiles the pinned files from pyproject.toml, for every platform at once.
requirements: dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make requirements" pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev \
		--constraint requirements.txt --custom-compile-command "make requirements" pyproject.toml \
		-o requirements-dev.txt

$(VENV)/%.done: %.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "make: '$(PYTHON)' must be Python 3.11 with venv; name another with make PYTHON=..." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

clean:
	rm -rf $(VENV)
