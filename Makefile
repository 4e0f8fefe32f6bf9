# Every target makes the environment first when it is missing or requirements.txt has changed.
PYTHON ?= python3
PORT ?= 8000
JOBS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help book serve test test-browser notebooks scoreboard train bench lint clean

help:
	@echo "make book       build the book and say where it is"
	@echo "make serve      build the book and serve it on http://localhost:$(PORT)"
	@echo "make test       unit tests, and every notebook run again and compared"
	@echo "make notebooks  execute every notebook in place (or NB=notebooks/05_bigrams.ipynb)"
	@echo "make train      train every model of the zoo again (or NAME=one-model)"
	@echo "make bench      speed, against a plain implementation in the same run"
	@echo "make lint       ruff, on code and notebooks"

$(READY): requirements.txt pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

scoreboard: $(READY)
	$(PY) -m mechlib.pages.scoreboard

book: scoreboard
	$(VENV)/bin/jupyter-book build -W -n --keep-going .
	@echo
	@echo "The book is at $(CURDIR)/_build/html/index.html - open that file in a browser."

serve: book
	@echo "Serving on http://localhost:$(PORT) - press Ctrl-C to stop."
	$(PY) -m http.server --directory _build/html --bind 127.0.0.1 $(PORT)

# One thread per worker: two workers already fill two cores, and the stored numbers were made so.
test: $(READY)
	OMP_NUM_THREADS=1 $(PY) -m pytest tests notebooks book -q -m "not browser" \
		--nbval --nbval-current-env --nbval-cell-timeout 600 -n $(JOBS) --dist loadfile

test-browser: $(READY)
	$(PY) -m pytest tests -q -m browser -rs

notebooks: $(READY)
	$(PY) -m mechlib.pages.notebooks $(if $(NB),$(NB),--all)
	$(PY) -m mechlib.pages.scoreboard

train: $(READY)
	$(PY) -m mechlib train $(or $(NAME),$(shell $(PY) -c "from mechlib import zoo; print(*zoo.names())"))

bench: $(READY)
	@set -e; for file in benchmarks/[a-z]*.py; do \
		name=$$(basename $$file .py); echo "== $$name"; $(PY) -m benchmarks.$$name; done

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

clean:
	rm -rf _build
