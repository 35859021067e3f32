# Needs python3 (3.11 to 3.13) with venv, and make. Nothing is installed outside .venv.
#   make demo            see the method at work (SCRATCH=1: train everything from nothing)
#   make test            the tests that take minutes at most
#   make book            the Jupyter Book, executed, strict and offline, into book/_build
#   make book-pdf        the same book as one printable file (needs Chromium)
#   make test-all        every test, the slow ones and the browser ones too
#   make clean           remove what the other targets made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCRATCH ?=
PYTEST_ARGS ?=

.PHONY: demo test test-all book book-pdf clean help install
help:
	@sed -n 's/^#   //p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"the pinned environment needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}: make PYTHON=python3.12 {sys.argv[1]}")' $(or $(firstword $(MAKECMDGOALS)),install)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo 'python3 -m venv failed. On Debian and Ubuntu: apt-get install python3-venv'; rm -rf $(VENV); exit 1; }
	@echo 'Installing into $(VENV): torch and friends, some minutes the first time.'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off -c constraints.txt -e '.[speech,book,test]'
	@touch $@

demo: install
	$(BIN)/minideeptalk demo --out runs/demo$(if $(SCRATCH),-scratch --scratch)

test: install
	$(BIN)/python -m pytest -m 'not slow and not browser' $(PYTEST_ARGS)

test-all: install book
	$(BIN)/python -m pytest $(PYTEST_ARGS)

book: install
	$(BIN)/python -m minideeptalk.teaching.build_book

book-pdf: book
	$(BIN)/python -m minideeptalk.teaching.print_book

clean:
	rm -rf $(VENV) book/_build book/made .jupyter_cache .pytest_cache build dist *.egg-info runs/demo runs/demo-scratch
