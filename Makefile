# make run: set everything up and run the main job.   make test: set up and run the tests.
# Needs Python 3.11, 3.12 or 3.13 (with its venv module) and make, nothing else. Python is the first that fits of
# python3, python3.13, python3.12 and python3.11, or what is named: make PYTHON=/path/to/python3 run.

PYTHON ?= python3 python3.13 python3.12 python3.11
VENV := .venv
BIN := $(VENV)/bin
AIRFLOW_VENV := .venv-airflow
PORT ?= 8080

# Installs a requirements file into an environment; in a terminal pip says how far it is.
define install
	@echo "Installing the packages of $< ($$(grep -c '^[a-z]' $<)) into $(1)/: some minutes, once." >&2
	@[ -t 1 ] || quiet=--quiet; \
		$(1)/bin/python -m pip install $$quiet --disable-pip-version-check --require-hashes -r $<
endef

.PHONY: run test setup dev lint requirements venv clean airflow

run: setup
	$(BIN)/python run_pipeline.py $(ARGS)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not services and not chaos" $(ARGS)

setup: $(VENV)/requirements.done

dev: $(VENV)/requirements-dev.done

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Airflow, for schedules: in an environment of its own, on 127.0.0.1, until Ctrl-C.
airflow: $(AIRFLOW_VENV)/requirements.done
	$(BIN)/python -m stacks.airflow_server --port $(PORT) --venv $(AIRFLOW_VENV)

$(AIRFLOW_VENV)/requirements.done: requirements-airflow.txt | setup
	@rm -rf $(AIRFLOW_VENV) && $(BIN)/python -m venv $(AIRFLOW_VENV)
	$(call install,$(AIRFLOW_VENV))
	@touch $@

# Compiles the pinned files from pyproject.toml: for every platform and Python at once, one version of each package.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--custom-compile-command "make requirements"
requirements: dev
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) pyproject.toml --extra dev --constraint requirements.txt -o requirements-dev.txt
	$(COMPILE) requirements-airflow.in -o requirements-airflow.txt

$(VENV)/%.done: %.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory venv
	$(call install,$(VENV))
	@touch $@

venv:
	@for python in $(PYTHON); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); \
		case "$$version" in 3.11|3.12|3.13) ;; *) continue ;; esac; \
		$$python -c 'import ensurepip, venv' 2>/dev/null || { lacking=$${lacking:-$$version}; continue; }; \
		rm -rf $(VENV); $$python -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
		exit 0; \
	done; \
	if [ "$$lacking" ]; then \
		echo "Python $$lacking lacks its venv module; on Debian and Ubuntu install python$$lacking-venv" >&2; \
	else \
		echo "No Python 3.11, 3.12 or 3.13 is there (tried: $(PYTHON)); install one, or name one:" \
			"make PYTHON=/path/to/python3" >&2; \
	fi; exit 1

clean:
	rm -rf $(VENV) $(AIRFLOW_VENV) .venv-dashboard
