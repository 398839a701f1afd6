PYTHON ?= python3

VENV = .venv
BIN = $(VENV)/bin
METADATA = setup.cfg setup.py pyproject.toml kipoi_deepmr.pth
PROGRAMS = bedtools bcftools tabix

EXAMPLE = example_models/tf_cooperativity
EXAMPLE_OUTPUT = example_output
EXAMPLE_LOCI = {"intervals_file": "$(EXAMPLE)/test_loci.bed", "fasta_file": "$(EXAMPLE)/test_loci.fa"}

.PHONY: help example test programs clean

help:
	@echo "make example  install into $(VENV), run the main job on $(EXAMPLE), show what it found"
	@echo "make test     install into $(VENV) with what the tests need, run ruff and pytest"
	@echo "make clean    remove $(VENV), $(EXAMPLE_OUTPUT)/ and everything else that make and pip left here"
	@echo "With another Python (3.10 to 3.13): make example PYTHON=python3.12"

example: $(VENV)/.tensorflow
	$(BIN)/kipoi postproc deepmr run $(foreach member,1 2 3 4 5,$(EXAMPLE)/$(member)) --source dir \
	    --dataloader_args '$(EXAMPLE_LOCI)' --method ivw,egger,wald_mean -o $(EXAMPLE_OUTPUT) --overwrite
	$(BIN)/python $(EXAMPLE)/compare.py $(EXAMPLE_OUTPUT)

test: $(VENV)/.test programs
	$(BIN)/ruff check
	$(BIN)/python -m pytest

# The programs outside Python that some tests run: installed where that is possible, missed politely elsewhere.
programs:
	@missing() { for program in $(PROGRAMS); do command -v $$program > /dev/null || echo $$program; done; }; \
	if [ -n "$$(missing)" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -q && apt-get install -q -y --no-install-recommends $$(missing) < /dev/null || true; \
	fi; \
	for program in $$(missing); do echo "$$program is not installed: the tests that need it will skip"; done

# One stamp per set of extras. The second set holds the first, so it makes both stamps.
$(VENV)/.tensorflow: $(METADATA) | $(VENV)/.created
	$(BIN)/python -m pip install --no-input --disable-pip-version-check -e '.[tensorflow]'
	touch $@

$(VENV)/.test: $(METADATA) | $(VENV)/.created
	$(BIN)/python -m pip install --no-input --disable-pip-version-check -e '.[tensorflow,test]'
	touch $(VENV)/.tensorflow $@

$(VENV)/.created:
	$(PYTHON) -c 'import sys; (3, 10) <= sys.version_info < (3, 14) or sys.exit("kipoi_deepmr needs Python 3.10 to 3.13, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=...")'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

clean:
	rm -rf $(VENV) $(EXAMPLE_OUTPUT) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
