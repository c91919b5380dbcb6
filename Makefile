# Footfall. `make help` lists every target.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
export CGO_ENABLED ?= 0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
GO_SOURCES := $(shell find . -name '*.go' -not -path './*/node_modules/*') go.mod go.sum
DIST := dashboard/dist/index.html tracker/dist/footfall.js enrich/bots/generated/crawlers.json

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: build ## Install what is needed, build and serve on http://127.0.0.1:8080 with ./data
	exec bin/footfall serve --data ./data --listen 127.0.0.1:8080

.PHONY: build
build: bin/footfall ## Make bin/footfall: one static binary with dashboard and tracker inside

.PHONY: build-dev
build-dev: bin/footfall-dev ## Make bin/footfall-dev: the same, plus a clock and salts that tests can turn

bin/footfall: $(DIST) $(GO_SOURCES)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/footfall

bin/footfall-dev: $(DIST) $(GO_SOURCES)
	$(GO) build -trimpath -tags dev -ldflags '$(LDFLAGS)' -o $@ ./cmd/footfall

dashboard/node_modules/.installed: dashboard/package.json dashboard/package-lock.json
	cd dashboard && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

tracker/node_modules/.installed: tracker/package.json tracker/package-lock.json
	cd tracker && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

dashboard/dist/index.html: dashboard/node_modules/.installed http/partner/openapi.yaml $(shell find dashboard/src dashboard/messages dashboard/public -type f 2>/dev/null) dashboard/index.html dashboard/vite.config.ts
	cd dashboard && npm run build

tracker/dist/footfall.js: tracker/node_modules/.installed $(shell find tracker/src -type f 2>/dev/null) tracker/build.js
	cd tracker && npm run build

enrich/bots/generated/crawlers.json: enrich/bots/package.json enrich/bots/package-lock.json
	cd enrich/bots && sh fetch.sh

.PHONY: test
test: tools build build-dev ## Install what is needed and run everything: Go with the race detector, front end, browser
	sh internal/ci/test.sh

.PHONY: tools
tools: haproxy ## Install Debian's chromium and haproxy when they are missing
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; }

# The package starts a balancer of its own, which nobody needs here: runlevel 1
# keeps it from that.
.PHONY: haproxy
haproxy:
	@command -v haproxy >/dev/null || test -x /usr/sbin/haproxy || { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq haproxy; }

.PHONY: consul
consul: ## Build the Consul that tests and `make cluster` talk to, once for a machine; minutes
	sh internal/tools/consul/build.sh

.PHONY: cluster
cluster: build haproxy consul ## Start Consul, three nodes and HAProxy on http://127.0.0.1:8080 with ./data/cluster
	sh internal/ci/cluster.sh up

.PHONY: cluster-down
cluster-down: ## Stop what `make cluster` started
	sh internal/ci/cluster.sh down

.PHONY: check
check: $(DIST) ## What CI checks before the tests: format, vet, front-end types
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	$(GO) vet ./...
	$(GO) vet -tags dev ./cmd/...
	cd dashboard && npm run check
	cd tracker && npm run check

.PHONY: bench
bench: build ## Measure all that is claimed: beacons beside a bare server, stages, a cluster, open pages, questions; an hour
	$(GO) run ./bench/cmd/report --binary bin/footfall --out bench/out/report.md
	$(MAKE) bench-stages bench-cluster bench-dashboards bench-queries

.PHONY: bench-stages
bench-stages: build ## Measure counting alone, arrays beside beacons, and the import of a log; writes bench/out/stages.md
	$(GO) run ./bench/cmd/stages --binary bin/footfall --out bench/out/stages.md

.PHONY: bench-plan
bench-plan: build ## Compare the CPU that `footfall plan` predicts with measured runs; writes bench/out/plan.md
	$(GO) run ./bench/cmd/coefficients --binary bin/footfall --base bench/capacity/coefficients.json --parts cpu,cluster --rounds 3 --report bench/out/plan.md

.PHONY: coefficients
coefficients: build ## Measure what `footfall plan` plans with on this machine; writes bench/out/coefficients.json
	$(GO) run ./bench/cmd/coefficients --binary bin/footfall --rounds 3 --out bench/out/coefficients.json

.PHONY: profile
profile: build-dev ## Profile beacons and heavy questions; writes bench/out/profiles and prints CPU by stage
	$(GO) run ./bench/cmd/profile --binary bin/footfall-dev --out bench/out/profiles

# QUERIES are further flags, as "--sizes 1,10,50"; see `go run ./bench/cmd/queries -h`.
QUERIES ?= --sites 1000000

.PHONY: bench-queries
bench-queries: build peers ## Measure questions on 10 million views beside SQLite and DuckDB, and a million sites; about half an hour
	$(GO) run ./bench/cmd/queries --binary bin/footfall --peers bin/peers --keep bench/out/histories --out bench/out/queries.md $(QUERIES)

# The peers need a C compiler; without one they are left out, which the report says.
.PHONY: peers
peers:
	rm -f bin/peers
	-cd bench/peers && CGO_ENABLED=1 $(GO) test . && CGO_ENABLED=1 $(GO) build -o ../../bin/peers .

.PHONY: chaos
chaos: build build-dev tools ## A cluster under fire for MINUTES (10) at RATE views/s (2000); SEED repeats a schedule
	$(if $(filter file,$(origin SEED)),,SEED=$(SEED)) sh internal/ci/chaos.sh run

.PHONY: chaos-selftest
chaos-selftest: build build-dev tools ## Show that planted bugs are found, and how soon
	sh internal/ci/chaos.sh selftest

SEEDS ?= 1000
SEED ?= 1
SIZE ?= 3x8

.PHONY: simulate
simulate: $(DIST) ## Simulate SEEDS (1000) clusters from SEED (1) on, of SIZE nodes x shards (3x8)
	$(GO) test -count=1 -timeout 0 -v -run '^TestSeeds$$' ./internal/simulate -args -seeds $(SEEDS) -seed $(SEED) -size $(SIZE)

.PHONY: bench-cluster
bench-cluster: build haproxy ## Measure failover, idle and replicated cost of three nodes
	$(GO) run ./bench/cmd/cluster --binary bin/footfall --out bench/out/cluster.md

.PHONY: bench-dashboards
bench-dashboards: build ## Measure a view's way onto an open page, and 1,000 open pages of one busy site
	$(GO) run ./bench/cmd/dashboards --binary bin/footfall --out bench/out/dashboards.md

dashboard/lighthouse/node_modules/.installed: dashboard/lighthouse/package.json dashboard/lighthouse/package-lock.json
	cd dashboard/lighthouse && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

.PHONY: lighthouse
lighthouse: build tools dashboard/lighthouse/node_modules/.installed ## Audit the sign-in and the site's page as on a phone; fails below 0.95 and 1.0
	cd dashboard/lighthouse && npm run audit

dashboard/screenshots/node_modules/.installed: dashboard/screenshots/package.json dashboard/screenshots/package-lock.json
	cd dashboard/screenshots && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

.PHONY: screenshots
screenshots: build-dev tools dashboard/screenshots/node_modules/.installed ## Take pictures of every page in light, dark and on a phone into docs/screenshots
	cd dashboard && npm run screens
	cd dashboard/screenshots && npm run shrink

.PHONY: fuzz
fuzz: $(DIST) ## Fuzz every parser for FUZZTIME (30s) each
	sh internal/ci/fuzz.sh $${FUZZTIME:-30s}

.PHONY: demo
demo: build ## Serve with a demo site full of visits of the last 400 days
	sh internal/ci/demo.sh

.PHONY: golden
golden: ## Rewrite the golden scripts of the tests; read the diff
	$(GO) test ./analytics/site ./internal/queryscript -run 'Golden|Scripts' -rewrite

.PHONY: clean
clean: ## Remove what was built; keeps ./data
	rm -rf bin dashboard/dist/* tracker/dist/* dashboard/node_modules dashboard/lighthouse/node_modules dashboard/screenshots/node_modules tracker/node_modules enrich/bots/node_modules enrich/bots/generated/crawlers.json bench/out
	touch dashboard/dist/.keep tracker/dist/.keep enrich/bots/generated/.keep
