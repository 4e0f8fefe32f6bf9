# Every target makes the environment first when it is missing, broken, or older than what it must hold.
#   PYTHON=python3.12   the Python to make it with (3.11 to 3.14); asked for by name, it wins over
#                       an environment of another Python that is there already
#   TORCH_INDEX=cpu     on Linux: torch without CUDA, 1.7 GB in place of 5.4; or the address of an index
PYTHON ?= python3
TORCH_INDEX ?=
VENV ?= .venv
PORT ?= 8000
JOBS ?= 2

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := "$(BIN)/python"
# "command line" or "environment": somebody chose
ASKED := $(if $(filter command environment,$(firstword $(origin PYTHON))),--asked)
# One thread per worker: two workers already fill two cores, and the stored numbers were made so.
# In the order given, notebooks first: the long ones must not be left for a single worker at the end.
NBVAL := -m pytest -q --nbval --nbval-current-env --nbval-cell-timeout 600 -n $(JOBS) --dist loadfile \
	--no-loadscope-reorder
NOTEBOOKS := notebooks book

.DEFAULT_GOAL := help
.PHONY: help environment book serve lab test test-notebooks test-browser test-lab test-paths test-jitter \
	notebooks scoreboard slides offline pdf train train-check bench lock lock-check lint clean

help:
	@echo "make book         build the book and say where it is"
	@echo "make serve        build the book and serve it on http://localhost:$(PORT)"
	@echo "make slides       the slides of the sessions: _build/html/slides"
	@echo "make offline      one zip to hand out: book, slides, notebooks; opens without a server"
	@echo "make pdf          the whole book on paper: one page to print, and its PDF"
	@echo "make lab          open JupyterLab on a copy of the notebooks, to try things in"
	@echo "make test         unit tests, and every notebook run again and compared"
	@echo "make notebooks    execute every notebook in place (or NB=notebooks/05_bigrams.ipynb)"
	@echo "make train        train every model of the zoo again (or NAME=one-model)"
	@echo "make bench        speed, against a plain implementation in the same run"
	@echo "make lint         ruff, on code and notebooks"
	@echo "make lock         resolve every package for every supported Python and system again"
	@echo
	@echo "More tests: make test-browser, test-lab, test-paths, test-jitter, train-check (see README)"
	@echo "Any target takes PYTHON=python3.12 and TORCH_INDEX=cpu"

environment:
	@"$(PYTHON)" tools/environment.py --venv "$(VENV)" --torch-index "$(TORCH_INDEX)" $(ASKED)

scoreboard: environment
	$(PY) -m mechlib.pages.scoreboard

book: scoreboard
	"$(BIN)/jupyter-book" build -W -n --keep-going .
	@echo
	@echo "The book is at $(CURDIR)/_build/html/index.html - open that file in a browser."

# The book holds them, too; this makes them alone.
slides: environment
	$(PY) -m mechlib.pages.slides

# Book, slides and notebooks in one file that opens without a server.
offline: book
	$(PY) -m mechlib.pages.offline

# All chapters on one page; the PDF where a Chromium is found.
pdf: book
	$(PY) tools/pdf.py

serve: book
	@echo "Serving on http://localhost:$(PORT) - press Ctrl-C to stop."
	$(PY) -m http.server --directory _build/html --bind 127.0.0.1 $(PORT)

lab: environment
	$(PY) tools/lab.py

test: environment
	OMP_NUM_THREADS=1 $(PY) $(NBVAL) $(NOTEBOOKS) tests -m "not browser and not lab"

# Only the notebooks, or only those named in NB.
test-notebooks: environment
	OMP_NUM_THREADS=$(or $(OMP_NUM_THREADS),1) $(PY) $(NBVAL) $(or $(NB),$(NOTEBOOKS))

test-browser: book
	$(PY) -m pytest tests -q -m browser -rs

# Every notebook, run in a real JupyterLab in a real browser: about a quarter of an hour.
test-lab: environment
	$(PY) -m pytest tests/test_lab.py -q -m "browser or lab" -rs

# Other ways of doing the same sums: an old instruction set, a newer one, two threads.
test-paths: environment
	@set -e; for path in default avx2; do for threads in 1 2; do \
		echo "== $$path, threads: $$threads"; \
		ATEN_CPU_CAPABILITY=$$path OMP_NUM_THREADS=$$threads $(PY) $(NBVAL) $(NOTEBOOKS); done; done

# Every stored weight moved by rounding noise: a printed number that changes is printed too finely.
test-jitter: environment
	@set -e; for seed in 1 2 3; do echo "== seed $$seed"; \
		MECHLIB_JITTER=$$seed OMP_NUM_THREADS=1 $(PY) $(NBVAL) $(NOTEBOOKS); done

notebooks: environment
	$(PY) -m mechlib.pages.notebooks $(if $(NB),$(NB),--all)
	$(PY) -m mechlib.pages.scoreboard

train: environment
	$(PY) -m mechlib train $(or $(NAME),$$($(PY) -c "from mechlib import zoo; print(*zoo.names())"))

# The models that train in under five minutes, trained again along another arithmetic path.
train-check: environment
	$(PY) -m mechlib check-training

bench: environment
	@set -e; for file in benchmarks/[a-z]*.py; do \
		name=$$(basename $$file .py); echo "== $$name"; $(PY) -m benchmarks.$$name; done

lock: environment
	$(PY) tools/lock.py

lock-check: environment
	$(PY) tools/lock.py --check

lint: environment
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

clean:
	rm -rf _build "$(VENV)"
