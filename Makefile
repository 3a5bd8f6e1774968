# make demo: the whole workflow against the sandbox.  make test: the quick checks.  make test-all: all of them.  Nothing needs root.
# Another supported Airflow: make test AIRFLOW=3.1 runs what touches Airflow, with a lock and an environment of its own.
PYTHON ?= python3
AIRFLOW ?= 3.3
OLDER_AIRFLOWS := 3.1 3.2
OLDER := $(filter $(OLDER_AIRFLOWS),$(AIRFLOW))
$(if $(OLDER)$(filter 3.3,$(AIRFLOW)),,$(error AIRFLOW is one of: 3.3 $(OLDER_AIRFLOWS)))
VENV := .venv$(OLDER:%=-%)
LOCK := requirements$(OLDER:%=-airflow-%).lock
UV := $(VENV)/bin/uv
UV_VERSION := 0.13.9
RELEASED_BEFORE := 2026-09-18
unexport PYTHONDONTWRITEBYTECODE

# What an environment is made from, as a part of the stamp's name: a file's time says nothing after a merge.
stamp = $(1)/.ready-$(shell cat $(2) pyproject.toml | cksum | cut -d ' ' -f 1)
READY := $(call stamp,$(VENV),$(LOCK))

.PHONY: help setup fix check test test-all lint docs lock
.DEFAULT_GOAL := setup

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | sed 's/[$$][$$]/$$/g' | awk -F'|' '{printf "%-11s %s\n", $$1, $$2}'

setup: $(READY) ## Everything installed in .venv

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV) || { echo "python3 lacks venv: install python3-venv, or name another: make PYTHON=..."; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@rm -f $(VENV)/.ready*
	@$(call install,$(VENV),$(LOCK))
	@touch $@

# What a lock file pins, each file with its known hash, and the package itself.
install = $(UV) pip install --quiet --python $(1)/bin/python --require-hashes --compile-bytecode -r $(2) && \
	$(UV) pip install --quiet --python $(1)/bin/python --no-deps --no-build-isolation -e .

fix: setup ## Format, and repair what ruff can repair
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

check: lint ## Format, lint, strict types, import contracts; no tests

lint: setup
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

PYTEST := $(VENV)/bin/pytest -n auto --dist loadgroup
AT_AIRFLOW := $(addprefix tests/,dags docs hooks notifications operators sensors triggers webhooks test_airflow_compat.py \
	$(addprefix console/test_,browser.py fab.py in_airflow.py rights.py))

ifdef OLDER
test test-all: setup
	$(PYTEST) -m "$(if $(filter test-all,$(MAKECMDGOALS)),,not slow or each_airflow)" $(AT_AIRFLOW)
else
test: setup ## Lint, types, import contracts beside the tests, without the slow ones
	@log=$$(mktemp); $(MAKE) lint >$$log 2>&1 & lint=$$!; \
	$(PYTEST); tests=$$?; wait $$lint; lint=$$?; \
	cat $$log; rm $$log; exit $$((tests + lint))

test-all: lint ## All of it, the kill tests and more schedules too, with branch coverage
	$(PYTEST) -m "" --cov --cov-report=term
endif

docs: setup ## Write docs/settings.md anew from the settings' models
	PYTHONPATH=plugins:. $(VENV)/bin/python -m dev.settings_docs

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --exclude-newer $(RELEASED_BEFORE) --no-emit-index-url --generate-hashes --custom-compile-command "make lock"

# `dag.test()` of Airflow 3.2 lets go of its API server, which a newer svcs then takes apart.
lock: setup ## Pin requirements-dev.txt, for each Airflow, and requirements-celery.txt anew
	$(COMPILE) requirements-dev.txt -o requirements.lock
	$(COMPILE) -c requirements.lock requirements-celery.txt -o requirements-celery.lock
	for version in $(OLDER_AIRFLOWS); do printf 'apache-airflow==%s.*\nsvcs<26\n' $$version | $(COMPILE) requirements-dev.txt - -o requirements-airflow-$$version.lock || exit 1; done

.PHONY: demo demo-celery secrets up down env doctor
demo: setup ## The whole workflow with real Airflow and the sandbox; KEEP=1 leaves it running
	@$(VENV)/bin/python -m dev.demo $(if $(KEEP),--keep)

CELERY := .venv-celery
CELERY_READY := $(call stamp,$(CELERY),requirements-celery.lock)
CANDIDATES := 60
demo-celery: $(CELERY_READY) ## The services of compose.yaml without Docker, and a worker killed; CANDIDATES=200
	@$(CELERY)/bin/python -m dev.demo_celery --candidates $(CANDIDATES) $(if $(KEEP),--keep)

$(CELERY_READY): | $(READY)
	@test -x $(CELERY)/bin/python || $(PYTHON) -m venv --without-pip $(CELERY)
	@rm -f $(CELERY)/.ready*
	@$(call install,$(CELERY),requirements-celery.lock)
	@touch $@

secrets: ## New passwords and keys for compose.yaml in .env; Python alone is enough
	@$(PYTHON) -m dev.compose

up: setup ## Airflow with your connections, in the background
	@$(VENV)/bin/python -m dev.services up

down: ## Stop what was started
	@test ! -x $(VENV)/bin/python || $(VENV)/bin/python -m dev.services down

doctor: setup ## Check your connections, settings and accounts, and say what to do
	@eval "$$($(VENV)/bin/python -m dev.environment)" && $(VENV)/bin/python -m lever_imocha.doctor $(if $(TRY_WRITES_ON),--try-writes-on $(TRY_WRITES_ON))

env: setup ## eval "$$(make -s env)" makes .venv/bin/airflow the same Airflow
	@$(VENV)/bin/python -m dev.environment
