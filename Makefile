# `make` alone lists the targets. Needs python3 (with venv) and make; the TypeScript package is built and
# tested where there is node 20 or later.

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 2

WINDOWS := $(filter Windows_NT,$(OS))
SCRIPTS := $(if $(WINDOWS),Scripts,bin)
BIN    := $(VENV)/$(SCRIPTS)
PY     := $(BIN)/python$(if $(WINDOWS),.exe)
PIP    := $(PY) -m pip --quiet --disable-pip-version-check
STAMP  := $(VENV)/.installed
LOCK   := requirements-dev.lock
CORE_LOCK := tests/environments/core.lock
MUTATION_LOCK := tests/environments/mutation.lock
EXTRAS := arrow aws-profile cli client object-store testing vision zstd

.DEFAULT_GOAL := help
# Every target with a help text is a command and no file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

include typescript/targets.mk

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make the environment in .venv, from the hash-pinned lock

# Made once, since a venv of another interpreter cannot be reused. To change PYTHON, run `make clean` first.
$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or later is needed: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) comes without venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(LOCK) pyproject.toml | $(PY)
	$(PIP) install --require-hashes -r $(LOCK)
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(CLI_STAMP)

# The demo needs only the package and its extra `cli`, which `make install` also installs.
CLI_LOCK  := requirements-cli.lock
CLI_STAMP := $(VENV)/.cli-installed

$(CLI_STAMP): $(CLI_LOCK) | $(PY)
	@echo "installing the packages of the extra 'cli' into $(VENV), once"
	$(PIP) install --require-hashes -r $(CLI_LOCK)
	@touch $@

demo: $(CLI_STAMP) ## carry real images over the wire and verify them
	@$(PY) -m mmraw_protocol.cli demo

test: install $(if $(NODE),typescript) ## run the tests, those of the TypeScript package too
	$(PY) -m pytest -n $(WORKERS)
ifdef NODE
	$(MAKE) test-typescript
else
	@printf '\n!!! NOT TESTED: the TypeScript package. It needs node 20 or later with npm.\n\n' >&2
endif

# Tests that need only the wire, its families and their vectors, and not the generator.
CORE := golden refs items features turns ref_stream limits spelling canonical_readers writing codec \
	strict_json vectors layout package import_order

# Tests that a change of the wire or of a family breaks; `make test` runs the rest.
QUICK := $(CORE) new_family testing codegen

quick: install ## run the tests of wire, families and generated files, in under a minute
	$(PY) -m codegen --check
	$(PY) -m pytest -q -n $(WORKERS) --hypothesis-profile quick $(QUICK:%=tests/test_%.py)

test-pythons: ## run the core's tests on every Python from 3.10 to 3.14 that is found here
	$(PYTHON) tests/environments/pythons.py $(CORE:%=tests/test_%.py)

# Servers for Azure (from npm) and Google; the one for S3 comes with the development environment.
AZURITE := tests/environments/azurite

$(AZURITE)/node_modules/.installed: $(AZURITE)/package-lock.json
	cd $(AZURITE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

test-objects: install $(if $(shell command -v npm),$(AZURITE)/node_modules/.installed) ## test the object store on real servers: S3 with faults, Azure, Google
	@$(PY) tests/environments/install.py gcs >/dev/null || printf '\n!!! NOT TESTED: gs://\n\n' >&2
	$(PY) -m pytest -n $(WORKERS) tests/objects

# The test modules run in parallel: each has its own copy of the repository.
test-evolution: install typescript ## add a field, a limit, a family, a dialect and an error code, each in a copy
	$(PY) -m pytest -n $(WORKERS) --dist loadfile tests/evolution

test-faults: install ## test kills at every system call, full disks, races (needs strace)
	$(PY) -m pytest tests/faults

test-instructions: install ## test forks and interrupts at every instruction of cache, store and decoder
	MMRAW_EVERY_INSTRUCTION=1 $(PY) -m pytest -n $(WORKERS) --durations=0 \
		tests/test_forks_and_interrupts.py -k instruction

test-newcomer: ## follow README, tutorial, adoption and on-call page on a bare machine with python3 and make
	@$(PYTHON) tests/newcomer/run.py

test-mutation: install ## remove each guard once; some test must fail
	$(PY) tests/mutation/run.py

# cosmic-ray has an environment of its own; tests/mutation/mutants.json says how mutants are drawn.
test-mutants: install ## change the core in 20 fixed places, one at a time; some test must fail
	PYTHONPATH=. $$($(ENVIRONMENT) mutation) tests/mutation/mutants.py

test-mutation-all: install ## the same in 300 places (an hour; continues where it stopped)
	PYTHONPATH=. $$($(ENVIRONMENT) mutation) tests/mutation/mutants.py --whole

# Tests with other software run in environments of their own, made once (tests/environments/).
ENVIRONMENT = $(PYTHON) tests/environments/install.py
test-integrations: test-renderers test-trainer test-verifiers test-ray ## run the next four targets

test-renderers: ## test with the released renderers package
	$$($(ENVIRONMENT) integrations) -m pytest tests/integrations/renderers

test-trainer: ## test with Transformers and torch
	$$($(ENVIRONMENT) integrations) -m pytest tests/integrations/trainer

test-verifiers: ## test with the released verifiers package
	$$($(ENVIRONMENT) verifiers) -m pytest tests/integrations/verifiers

test-ray: ## test archives on Ray Data and datasets, with two workers and an S3 server
	$$($(ENVIRONMENT) ray) -m pytest tests/integrations/ray

test-spellings: ## test the spellings of images in messages with the libraries that define them
	HF_HUB_OFFLINE=1 PYTHONPATH=. $$($(ENVIRONMENT) spellings) -m pytest tests/message_spellings

# The shim lets the CPU build of vLLM start without a torchvision for its torch.
test-vllm: ## test with vLLM 0.31, the version of the released clients, and tiny models on the CPU
	PYTHONPATH=tests/e2e/shim:. HF_HUB_OFFLINE=1 $$($(ENVIRONMENT) released) -m pytest \
		--confcutdir=tests/e2e --ignore=tests/e2e/released --ignore=tests/e2e/test_many_servers.py tests/e2e

test-many-servers: ## test several API servers and engines of one deployment
	PYTHONPATH=tests/e2e/shim:. HF_HUB_OFFLINE=1 $$($(ENVIRONMENT) released) -m pytest \
		--confcutdir=tests/e2e tests/e2e/test_many_servers.py

test-released: ## test the released verifiers, renderers and vLLM, unmodified, from messages to tensors
	PYTHONPATH=tests/e2e/shim:. HF_HUB_OFFLINE=1 $$($(ENVIRONMENT) released) -m pytest \
		--confcutdir=tests/e2e tests/e2e/released

test-vllm-matrix: ## test with vLLM 0.30, 0.32 and 0.33 (.ci/run uses 0.31)
	$(PYTHON) tests/environments/matrix.py 0.30 0.32 0.33

vllm-matrix: ## test every supported version of vLLM, and write docs/versions.md
	$(PYTHON) tests/environments/matrix.py --write docs/versions.md

# No server, since SGLang's kernels need a GPU: the tests run all that comes before the kernels.
test-sglang: ## test with the released SGLang: plugin loading, image processors, HTTP application
	PYTHONPATH=tests/e2e/shim:tests/e2e:. HF_HUB_OFFLINE=1 $$($(ENVIRONMENT) sglang) -m pytest \
		--confcutdir=tests/sglang --ignore=tests/sglang/gpu tests/sglang

sglang-names: ## compare what the plugin uses of SGLang in four versions, and write docs/sglang-names.md
	$(PYTHON) tests/environments/sglang_names.py --write docs/sglang-names.md 0.5.20 0.5.21 0.5.22 0.5.23

# An interpreter with SGLang, as its installation for a GPU has it, pytest and httpx.
SGLANG_PYTHON ?= python3
test-sglang-gpu: ## test an SGLang server of each model; needs a GPU and SGLANG_PYTHON
	PYTHONPATH=tests/sglang:tests/e2e:. HF_HUB_OFFLINE=1 $(SGLANG_PYTHON) -m pytest \
		--noconftest tests/sglang/gpu

bench-vllm: ## measure bytes and latency of refs against the stock routes of one vLLM server
	PYTHONPATH=tests/e2e/shim:tests/e2e:. HF_HUB_OFFLINE=1 \
		$$($(ENVIRONMENT) vllm) benchmarks/vllm_route.py

bench-vllm-urls: ## the same for refs as image URLs, against data: URLs
	PYTHONPATH=tests/e2e/shim:tests/e2e:. HF_HUB_OFFLINE=1 \
		$$($(ENVIRONMENT) vllm) benchmarks/vllm_urls.py

bench-vllm-attacks: ## measure memory and other clients' latency during attacks
	PYTHONPATH=tests/e2e/shim:tests/e2e:benchmarks:. HF_HUB_OFFLINE=1 \
		$$($(ENVIRONMENT) vllm) benchmarks/vllm_attacks.py

# An interpreter with torch, transformers and Pillow; for example that of `make test-trainer`.
PROCESSORS ?=
bench: install ## measure against the baselines, table and charts into docs/
	$(PY) -m benchmarks --out docs $(if $(PROCESSORS),--processors $(PROCESSORS))

check: install ## check format, lint, types, vectors, released and generated files, terms
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright --pythonpath $(PY)
	$(PY) -m codegen --check
	$(PY) -m mmraw_protocol.conformance.lint
	$(PY) -m mmraw_protocol.specdiff.released
	$(PY) tests/vocabulary.py

# A venv of its own: atheris has wheels for some Pythons only.
FUZZ_SECONDS ?= 60
FUZZ_LOCK    := requirements-fuzz.lock
FUZZ_STAMP   := $(VENV)/fuzz/.installed

$(FUZZ_STAMP): $(FUZZ_LOCK)
	$(PYTHON) -m venv $(VENV)/fuzz
	$(VENV)/fuzz/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $(FUZZ_LOCK)
	@touch $@

fuzz: $(FUZZ_STAMP) ## search every reader for a broken promise, for FUZZ_SECONDS (60)
	PYTHONPATH=. $(VENV)/fuzz/bin/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

# A venv of its own, since only the site needs its generator.
DOCS_LOCK  := requirements-docs.lock
DOCS_STAMP := $(VENV)/docs/.installed

$(DOCS_STAMP): $(DOCS_LOCK) | $(PY)
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $(DOCS_LOCK)
	@touch $@

docs: $(DOCS_STAMP) $(TS_INSTALLED) ## build the docs site into build/site, offline, and check its links
	PYTHONPATH=. $(VENV)/docs/bin/python docs/build.py
	$(VENV)/docs/bin/python docs/check_links.py build/site

DOCS_PORT ?= 8000
docs-serve: docs ## build the docs site and serve it on 127.0.0.1, port 8000 (DOCS_PORT)
	$(VENV)/docs/bin/python -m http.server --bind 127.0.0.1 --directory build/site $(DOCS_PORT)

BROWSER_INSTALLED := tests/browser/node_modules/.installed

$(BROWSER_INSTALLED): tests/browser/package-lock.json
	cd tests/browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

test-browser: docs $(BROWSER_INSTALLED) ## test the site and its inspector in Chromium (CHROMIUM names another)
	cd tests/browser && node --test --test-concurrency=1

generate: install ## write the generated files from spec/
	$(PY) -m codegen

NAME ?=
new-family: install ## create a built-in family: its folder, modules and failing test, e.g. NAME=tile_vl
	$(PY) -m codegen.new_family '$(NAME)'
	$(PY) -m codegen

format: install ## format, and fix what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

dist: install ## build wheel and sdist into dist/, reproducibly, and test them in empty environments (EXTRAS_TRIED)
	$(PY) tests/release/reproducible.py dist
	$(PY) tests/release/installed.py dist/*.whl $(EXTRAS_TRIED)

PREVIOUS ?=
release-check: install $(DOCS_STAMP) ## list what changed for documents and callers since PREVIOUS, a tag
	$(BIN)/mmraw compat '$(PREVIOUS)' spec --strict reader
	$(VENV)/docs/bin/python tests/release/interface.py '$(PREVIOUS)'

# The oldest versions that pyproject.toml allows, in a venv of their own.
MINIMUM_LOCK  := requirements-minimum.lock
MINIMUM_STAMP := $(VENV)/minimum/.installed

$(MINIMUM_STAMP): $(MINIMUM_LOCK) pyproject.toml | $(PY)
	$(PYTHON) -m venv $(VENV)/minimum
	$(VENV)/minimum/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $(MINIMUM_LOCK)
	$(VENV)/minimum/bin/python -m pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation -e .
	@touch $@

test-minimum: $(MINIMUM_STAMP) ## run the tests with the oldest versions that the package allows
	$(VENV)/minimum/bin/python -m pytest -n $(WORKERS) --hypothesis-profile quick

# Universal: one file for Python 3.10 and later. UV names another uv, e.g. make lock UV=uv
UV ?= $(VENV)/uv/$(SCRIPTS)/uv
lock: ## resolve the development dependencies again (UPGRADE=--upgrade for newer releases)
	@command -v $(UV) >/dev/null || { $(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/$(SCRIPTS)/pip install --quiet uv; }
	$(UV) pip compile pyproject.toml --group dev $(addprefix --extra ,$(EXTRAS)) \
		--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file $(LOCK)
	$(UV) pip compile pyproject.toml --group fuzz --extra vision \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file $(FUZZ_LOCK)
	$(UV) pip compile pyproject.toml --group docs --extra cli \
		--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file $(DOCS_LOCK)
	$(UV) pip compile pyproject.toml --group minimum $(addprefix --extra ,$(EXTRAS)) --resolution lowest-direct \
		--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file $(MINIMUM_LOCK)
	$(UV) pip compile pyproject.toml --extra cli --constraint $(LOCK) \
		--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file $(CLI_LOCK)
	$(UV) pip compile pyproject.toml --group core --extra testing --extra vision --constraint $(LOCK) \
		--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file $(CORE_LOCK)
	$(UV) pip compile pyproject.toml --group mutation --extra testing --extra object-store --constraint $(LOCK) \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet $(UPGRADE) --output-file $(MUTATION_LOCK)

ENVIRONMENTS ?= gcs integrations ray released sglang spellings verifiers vllm vllm-0.30 vllm-0.33
# An environment may have overrides of its own; uv.toml leaves out what SGLang itself declares.
lock-environments: ## resolve the environments of tests/environments/ again
	@command -v $(UV) >/dev/null || { $(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/$(SCRIPTS)/pip install --quiet uv; }
	cd tests/environments && for name in $(ENVIRONMENTS); do \
		overrides=$$name-overrides.txt; test -f $$overrides || overrides=overrides.txt; \
		$(abspath $(UV)) pip compile $$name.in --config-file uv.toml --override $$overrides --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-emit-find-links \
			--custom-compile-command "make lock-environments" --quiet $(UPGRADE) \
			--output-file $$name.lock || exit 1; done

clean: ## remove the environment, caches and build results
	rm -rf $(VENV) build dist typescript/dist typescript/node_modules $(AZURITE)/node_modules .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
