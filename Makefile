# make run: set everything up and run the main job.   make test: set up and run the tests.
# Needs Python 3.11 (with its venv module) and make, nothing else.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test setup dev lint requirements venv clean

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
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "'$(PYTHON)' is not Python 3.11; name another with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@rm -rf $(VENV); $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu install the package python3.11-venv" >&2; exit 1; }

clean:
	rm -rf $(VENV)
