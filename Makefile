# The two commands are `make book` and `make test`; `make help` lists the rest.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
  BIN := .venv/Scripts
else
  BIN := .venv/bin
endif
READY := .venv/.ready
BOOK  := book/_build/html/index.html
# Two processes, whole files to each: a notebook must not be torn apart.
TWO   := -n 2 --dist loadfile
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout 300 \
         --nbval-sanitize-with tests/nbval_sanitize.cfg

# Threads that spin while they wait cost more than they bring.
export OMP_WAIT_POLICY := PASSIVE
export SRWM_LITE_PROGRESS := 0
# Pages and tests are the same without a compiler, which the reader is told elsewhere.
export PYTHONWARNINGS := ignore:Plain torch computes

.PHONY: help book test unit slow chapters gates lab lint clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

book: $(READY)  ## set up if needed, execute the chapters, build the pages
	@echo "== build the book"
	$(BIN)/jupyter-book build . --toc book/_toc.yml --path-output book -W -n --keep-going
	@echo "Open $(CURDIR)/$(BOOK) in a browser."

test: unit chapters book gates  ## set up if needed, then run every test

unit: $(READY)  ## unit tests of package, kernels and sources
	@echo "== unit tests"
	$(BIN)/python -m pytest $(TWO) tests -m "not book and not browser and not slow"

slow: $(READY)  ## the compiler's sanitizers on every CUDA kernel
	@echo "== slow tests"
	$(BIN)/python -m pytest tests -m "slow and not book and not browser"

chapters: $(READY)  ## run the chapters again and compare every output
	@echo "== chapters give the outputs they print"
	$(BIN)/python -m pytest $(TWO) $(NBVAL) chapters

gates: book  ## tests of the built pages, in a browser where there is one
	@echo "== built pages and browser"
	$(BIN)/python -m pytest tests -m "book or browser"

lab: $(READY)  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/chapters

lint: $(READY)  ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove what was built, keep the environment
	rm -rf book/_build .pytest_cache .mypy_cache .ruff_cache

$(READY): requirements.txt pyproject.toml
	@echo "== set up .venv"
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or \
	  sys.exit(f'Python 3.11 to 3.13 is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $(READY)
