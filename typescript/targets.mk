# The TypeScript package, where there is node 20 or later with npm. Included by ../Makefile.

.PHONY: typescript test-typescript conformance

NODE := $(shell node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && command -v npm)

TS_INSTALLED := typescript/node_modules/.installed
TS_BUILT     := typescript/dist/.built

$(TS_INSTALLED): typescript/package-lock.json
	cd typescript && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(TS_BUILT): $(TS_INSTALLED) typescript/tsconfig.json $(shell find typescript/src -name '*.ts') $(wildcard spec/bundled/*)
	rm -rf typescript/dist
	cd typescript && npm run --silent build
	@touch $@

typescript: $(TS_BUILT) ## build the TypeScript package into typescript/dist/

test-typescript: $(TS_BUILT) ## run the tests of the TypeScript package
	cd typescript && node --test --test-reporter=$(if $(VERBOSE),spec,dot) test/*.test.js

# Cases that both implementations are asked, and the seed that they are drawn from.
CASES      ?= 100000
SEED       ?= 1
TYPESCRIPT := node typescript/dist/conformance.js

conformance: install typescript ## run every vector and CASES generated cases, in Python and TypeScript
	$(BIN)/mmraw conformance run --strict-codes --no-skips -- $(BIN)/mmraw conformance serve
	$(BIN)/mmraw conformance run --strict-codes -- $(TYPESCRIPT)
	$(PY) -m tests.differential --cases $(CASES) --seed $(SEED) -- $(TYPESCRIPT)
