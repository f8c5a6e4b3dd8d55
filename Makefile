# Each target makes the virtual environment it needs. PYTHON=python3.12 make test uses another interpreter.
PYTHON ?= python3
DEV := .venv/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check test-serve bench clean help

help:
	@echo "make demo        measure the embedded demo model and write report.html (small environment, no torch)"
	@echo "make test        all tests"
	@echo "make check       ruff, mypy, import-linter"
	@echo "make test-serve  the endpoint observer against a real 'transformers serve'"
	@echo "make bench       benchmarks beside their peers"

.venv-demo/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(PIP_INSTALL) --no-compile -e '.[demo]'
	@touch $@

.venv/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(DEV)/python $(PIP_INSTALL) -e '.[dev]'
	@touch $@

.venv-serve/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-serve
	.venv-serve/bin/python $(PIP_INSTALL) -e '.[serve]' pytest
	@touch $@

demo: .venv-demo/.made
	.venv-demo/bin/limen demo --out runs/demo --report report.html

test: .venv/.made
	$(DEV)/python -m pytest -m "not serve" -n 2

check: .venv/.made
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy
	$(DEV)/lint-imports

test-serve: .venv-serve/.made
	.venv-serve/bin/python -m pytest -m serve tests/test_serve.py

bench: .venv/.made
	$(DEV)/python $(PIP_INSTALL) -e '.[bench]'
	$(DEV)/python benchmarks/client.py

clean:
	rm -rf .venv .venv-demo .venv-serve runs report.html
