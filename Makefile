# The whole life of a checkout. `make help` lists the targets.
#
# Needed: Python 3.11 or newer, a C++20 compiler, and a package index. CMake and Ninja come from
# the index when the machine has none.

PYTHON ?= python3
MODEL ?=
ARGS ?=
SECONDS ?= 60
VENV := .venv
BIN := $(VENV)/bin
NATIVE := CMakeLists.txt $(shell find native -type f)
PACKAGE := pyproject.toml $(NATIVE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: compat compat-setup bench-gateway-setup bench-gateway bench-direct soak-gateway peers-test fidelity fidelity-setup golden golden-write models-page help serve install test faults test-all check format reference bench bench-peers-setup bench-peers sanitize fuzz size clean

help:  ## what each target does
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "%-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.core  ## install if needed, fetch the model if needed, serve on 127.0.0.1:8000
	@exec $(BIN)/stoker serve $(MODEL) $(ARGS)

install: $(VENV)/.dev  ## the package in place, with everything development needs

# Stamps record that an install is newer than what it was made from. Python sources are used in
# place, so only the project file and the native core make an install old.
$(VENV)/.core: $(PACKAGE) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(PACKAGE) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.core

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

test: install  ## every test that needs no more than one small model
	$(BIN)/python -m pytest -m 'not slow and not models and not peers'

faults: install  ## kill, stop, cut and slow everything; prints the table of cases
	$(BIN)/python -m pytest -m 'fault and not models'

test-all: install  ## all tests, with every catalog model (downloads about 2 GB)
	$(BIN)/python -m pytest -m 'not peers'

.venv-litellm/.installed: benchmarks/requirements-litellm.txt
	$(PYTHON) -m venv .venv-litellm
	.venv-litellm/bin/python -m pip install --quiet --requirement $<
	@touch $@

bench-gateway-setup: install .venv-litellm/.installed  ## litellm in an environment of its own, and nginx
	$(BIN)/python -c 'from tests.support.programs import program; program("nginx", "nginx-light")'

bench-gateway: install  ## what the gateway adds, beside nginx and litellm, into docs/performance.md
	$(BIN)/stoker bench gateway --peer nginx --peer litellm --streams 9800 --soak 60 \
	  --json benchmarks/results/gateway.json
	$(BIN)/python benchmarks/tables.py

bench-direct: install  ## direct mode beside nginx alone, into docs/performance.md
	$(BIN)/stoker bench gateway --direct smollm2:135m --json benchmarks/results/gateway_direct.json
	$(BIN)/python benchmarks/tables.py

soak-gateway: install  ## half an hour of load on the gateway while its memory is watched
	$(BIN)/stoker bench gateway --soak 1800

peers-test: install build/peers/llama.cpp/bin/llama-server  ## the gateway before llama.cpp's own server (builds it: minutes)
	$(BIN)/python -m pytest tests/peers

check: install  ## lint, format, types, import contracts, project rules
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest tests/test_project.py

format: install  ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix-only --quiet src tests benchmarks
	$(BIN)/ruff format src tests benchmarks

bench: $(VENV)/.core  ## engine and server figures on this machine, as JSON under build/bench
	@mkdir -p build/bench
	$(BIN)/stoker bench engine $(MODEL) --json build/bench/engine.json
	$(BIN)/stoker bench serve --json build/bench/serve.json

PEERS := .venv-peers .venv-openvino .venv-vllm .venv-fidelity
PEER_STAMPS := $(PEERS:%=%/.installed) build/peers/llama.cpp/bin/llama-server

bench-peers-setup: install $(PEER_STAMPS)  ## the engines to compare with, each in an environment of its own
	$(BIN)/python -m benchmarks.peers.weights

# The packages as the index has them. torchvision comes in as a dependency and breaks on a torch
# built without CUDA; no text model needs it.
.venv-openvino/.installed .venv-vllm/.installed .venv-fidelity/.installed: .venv-%/.installed: \
    benchmarks/requirements-%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --requirement $<
	.venv-$*/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

.venv-peers/.installed: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv .venv-peers
	CMAKE_ARGS='-DGGML_NATIVE=ON -DLLAMA_CURL=OFF' .venv-peers/bin/python -m pip install --quiet \
	  --no-binary llama-cpp-python -r benchmarks/requirements-peers.txt
	@touch $@

build/peers/llama.cpp/bin/llama-server: .venv-peers/.installed  # from the same package's sources
	benchmarks/peers/llama_server.sh .venv-peers/bin/python $(dir $(@D))

bench-peers: $(VENV)/.core  ## every engine that is set up, in turn, into docs/performance.md
	$(BIN)/python -m benchmarks.peers $(ARGS)

fidelity-setup: .venv-fidelity/.installed .venv-peers/.installed  ## transformers and llama.cpp, to compare answers with

fidelity: $(VENV)/.core  ## logits beside transformers, perplexity beside llama.cpp, into docs/performance.md
	$(BIN)/python benchmarks/fidelity.py $(ARGS)
	$(BIN)/python benchmarks/perplexity.py $(ARGS)

models-page: $(VENV)/.core  ## the page of architectures, from the registry
	$(BIN)/python -m stoker.model.page docs/models.md

golden: .venv-fidelity/.installed  ## small random checkpoints of every architecture against transformers
	.venv-fidelity/bin/python -m tests.golden.architectures check
	.venv-fidelity/bin/python -m tests.golden.encoders check
	.venv-fidelity/bin/python -m tests.golden.adapters check

golden-write: .venv-fidelity/.installed  ## writes what `make golden` compares with
	.venv-fidelity/bin/python -m tests.golden.architectures write
	.venv-fidelity/bin/python -m tests.golden.encoders write
	.venv-fidelity/bin/python -m tests.golden.adapters write

COMPAT := $(basename $(notdir $(wildcard benchmarks/compat/requirements/*.txt)))

.venv-compat-%/.installed: benchmarks/compat/requirements/%.txt
	$(PYTHON) -m venv .venv-compat-$*
	.venv-compat-$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

compat-setup: install $(COMPAT:%=.venv-compat-%/.installed)  ## clients and suites of others, each in an environment of its own

compat: compat-setup  ## clients and suites of others against our server, into docs/compatibility.md
	$(BIN)/python -m benchmarks.compat $(ARGS)

compat-%: install .venv-compat-%/.installed  # one of them
	$(BIN)/python -m benchmarks.compat $*

reference: $(VENV)/.core  ## the page of configuration keys, from the schema
	$(BIN)/stoker config reference --into docs/how-to/configure.md

sanitize: $(VENV)/.sanitize  ## native tests under the address, undefined and thread sanitizers
	native/tests/sanitize.sh address
	native/tests/sanitize.sh thread

fuzz: $(VENV)/.sanitize  ## every fuzz target for SECONDS each
	tests/fuzz/fuzz.sh $(SECONDS)

$(VENV)/.sanitize: native/tests/requirements.txt | $(VENV)/.dev
	$(BIN)/python -m pip install --quiet -r native/tests/requirements.txt
	@touch $@

size:  ## lines of code by folder
	@for folder in src/stoker/*/ native/ tests/; do \
	  printf '%-24s%7d\n' "$$folder" \
	    "$$(find $$folder -name '*.py' -o -name '*.cpp' -o -name '*.h' | xargs cat | wc -l)"; \
	done

clean:  ## everything that can be made again, the environment included
	rm -rf $(VENV) $(PEERS) .venv-compat-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache src/stoker/kernels/_native*.so
