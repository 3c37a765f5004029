# `make help` says what there is. Everything lands in .venv/ and build/: remove them to start afresh.
.DEFAULT_GOAL := help
.PHONY: help demo test install venv sandbox browser

VENV := .venv
EXTRAS := grading,slides,flows,training,metrics,diagnostics,dev
CANDIDATES := python3 python3.13 python3.12 python3.11
APT = DEBIAN_FRONTEND=noninteractive apt-get
ROOT_ON_DEBIAN = [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null

help:
	@echo "make demo     release, grade and report lab 10, draw the samplers' pictures: build/demo/"
	@echo "make test     all tests (half an hour on 2 cores, or less)"
	@echo "make install  only what both need: $(VENV)/ with the versions of constraints.txt"
	@echo
	@echo "Then: . $(VENV)/bin/activate && ganedu --help"

demo: install sandbox
	$(VENV)/bin/ganedu demo --out build/demo

# A file of tests stays in one process, so that what it prepares is prepared once. One thread each: on a busy
# machine two threads wait for one another longer than they compute. Files go by name, or the longest came last.
# The tests start hundreds of processes, and where Python is told to keep no bytecode each would compile ganedu.
test: install sandbox browser
	$(VENV)/bin/python -m compileall -q ganedu
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder --maxfail 50

install: $(VENV)/installed

# A run that is cut short leaves `unfinished` behind, and the next one starts from an empty environment.
$(VENV)/installed: pyproject.toml constraints.txt
	@if [ -e $(VENV)/unfinished ] || ! $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory venv; \
	fi
	@touch $(VENV)/unfinished
	$(VENV)/bin/python -m pip install --disable-pip-version-check \
		--constraint constraints.txt --editable '.[$(EXTRAS)]'
	@mv $(VENV)/unfinished $@

venv:
	@python=; for name in $(CANDIDATES); do \
		if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "ganedu needs Python 3.11 or newer; none of these is: $(CANDIDATES)" >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		package=$$($$python -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		if $(ROOT_ON_DEBIAN); then \
			$(APT) install -y $$package || { $(APT) update && $(APT) install -y $$package; }; \
		else \
			echo "$$python has no venv; on Debian and Ubuntu: sudo apt install $$package" >&2; exit 1; \
		fi; \
	fi; \
	echo "$$python -m venv $(VENV)"; \
	$$python -m venv --clear $(VENV)

# Submissions run in bubblewrap. Without it grading refuses, so say so before the work begins.
sandbox:
	@if ! command -v bwrap >/dev/null; then \
		if $(ROOT_ON_DEBIAN); then \
			$(APT) install -y bubblewrap || { $(APT) update && $(APT) install -y bubblewrap; }; \
		else \
			echo "Grading needs bubblewrap, which is not here (Linux only):" >&2; \
			echo "  sudo apt install bubblewrap | sudo dnf install bubblewrap | sudo pacman -S bubblewrap" >&2; \
		fi; \
	fi

# Formgrader, lectures, labs and slides are tested in a real one; where there is none, those tests are skipped.
browser:
	@if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then \
		if $(ROOT_ON_DEBIAN); then \
			$(APT) install -y --no-install-recommends chromium || \
				{ $(APT) update && $(APT) install -y --no-install-recommends chromium; }; \
		else \
			echo "To test what is seen in a browser, too: sudo apt install chromium | sudo dnf install chromium" >&2; \
		fi; \
	fi
