# make run: set everything up and run the main job.   make test: set up and run the tests.
# Needs Python 3.11 (with its venv module) and make, nothing else.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
AIRFLOW_VENV := .venv-airflow
PORT ?= 8080

.PHONY: run test setup dev lint requirements venv clean airflow

run: setup
	$(BIN)/python run_pipeline.py $(ARGS)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

setup: $(VENV)/requirements.done

dev: $(VENV)/requirements-dev.done

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Airflow, for schedules: in an environment of its own, on 127.0.0.1, until Ctrl-C.
airflow: setup $(AIRFLOW_VENV)/requirements.done
	$(BIN)/python -m stacks.airflow_server --port $(PORT) --venv $(AIRFLOW_VENV)

$(AIRFLOW_VENV)/requirements.done: requirements-airflow.txt
	rm -rf $(AIRFLOW_VENV) && $(PYTHON) -m venv $(AIRFLOW_VENV)
	$(AIRFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Compiles the pinned files from pyproject.toml, for every platform at once.
requirements: dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make requirements" pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev \
		--constraint requirements.txt --custom-compile-command "make requirements" pyproject.toml \
		-o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make requirements" requirements-airflow.in -o requirements-airflow.txt

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
	rm -rf $(VENV) $(AIRFLOW_VENV)
