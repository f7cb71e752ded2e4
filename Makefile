# Every target that a person types is explained by `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

STACK ?= Orders-dev
ENVIRONMENTS := dev staging prod
CDK := cdk
TOOL := go tool -modfile=tools/go.mod

# jsii prints a box of text about the age of Node 20, until npm has installed a newer one.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# The project's own Node comes first where npm has installed it.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

node_modules/.package-lock.json: package.json package-lock.json
	@echo "npm ci"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: install
install: node_modules/.package-lock.json ## Install what npm pins: the CDK CLI, DynamoDB Local, fauxqs, velocityjs, Node
	@go mod download

.PHONY: synth
synth: install ## Synthesize all environments into cdk.out
	@$(CDK) synth --quiet

# What runs on this machine needs no second look at the templates, which takes longer than all the rest of a
# synthesis: `make synth`, `make diff` and the tests have the CDK validate them.
demo local chaos soak mutations: export CDK_VALIDATION := false

# Synthesized without the functions' programs for Lambda, as `cdk list` does: the local run builds them for this machine.
# The command is compiled at the same time, with the flags of the functions, so that they share what it is compiled from.
LOCAL_APP := .local/cdk.out

.PHONY: local-app
local-app: install ## What a run on this machine needs: the template and the command
	@CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/outbox ./internal/demo & build=$$!; \
	$(CDK) list --output $(LOCAL_APP) > /dev/null; \
	wait $$build

.PHONY: demo
demo: local-app ## From clone to result: run Orders-dev here, POST an order, follow its event to each consumer; KEEP=1 keeps it up, with its page
	@exec bin/demo --outbox bin/outbox --app $(LOCAL_APP) $(if $(filter 1,$(KEEP)),--keep)

.PHONY: local
local: local-app ## Run the synthesized STACK (default Orders-dev) here until Ctrl-C
	@exec bin/outbox local --app $(LOCAL_APP) --stack $(STACK)

.PHONY: test
test: install ## vet, unit, synth, golden and end-to-end tests
	@go vet ./...
	@go test -race ./...

# Who works on Linux does not see that another system is broken.
.PHONY: lint
lint: ## golangci-lint with the import rules, and the checks of macOS and Windows
	@$(TOOL) golangci-lint run ./...
	@GOOS=darwin go vet ./...
	@GOOS=windows go build ./...

.PHONY: api
api: ## Compare what other modules can import with the snapshots in api/
	@go run ./internal/apicheck

.PHONY: api-update
api-update: ## Renew the snapshots after an intended change; read the git diff before you commit it
	@go run ./internal/apicheck -update

# The golden templates are for any account, and have no asset hashes.
.PHONY: diff
diff: install ## cdk diff of each environment against its golden template
	@export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true; \
	unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; \
	$(CDK) synth --quiet --output .local/diff; \
	perl -pi -e 's/[0-9a-f]{64}/"0" x 64/ge; s#"source": "\.\./\.\./#"source": "../#' .local/diff/*.template.json; \
	for e in $(ENVIRONMENTS); do $(CDK) diff --app .local/diff "Orders-$$e" --template "test/synth/golden/Orders-$$e.json"; done

.PHONY: golden
golden: install ## Renew the golden templates after an intended change; read the git diff before you commit it
	@go test ./test/synth -run Golden -update -count=1

.PHONY: bench
bench: synth ## The figures of docs/benchmarks.md, measured on this machine
	@go run ./internal/bench

ORDERS ?= 2000
SEEDS ?= 1,2,3,4
HOURS ?= 1
SEED ?= 1

.PHONY: chaos
chaos: synth schedules ## ORDERS (default 2000) under every legal fault, kills and operators' mistakes, shared by SEEDS: what goes in must come out, once
	@go run ./internal/chaos/cmd/chaos --orders $(ORDERS) --seeds $(SEEDS)

# Half of them in each package: rapid counts by test.
.PHONY: schedules
schedules: ## Ten thousand schedules of retry, backoff, age and bisect in virtual time
	@go test ./internal/local/pipes ./internal/local/eventbus -run TestNothingIsLost -rapid.checks=5000 -count=1

.PHONY: soak
soak: synth ## The same for HOURS, from SEED on, seed after seed
	@go run ./internal/chaos/cmd/chaos --orders 500 --seeds $(SEED) --hours $(HOURS)

.PHONY: mutations
mutations: synth ## Break each thing that the guarantee rests on; the checker must see it every time
	@CHAOS_APP=$(CURDIR)/cdk.out go test ./test/proof -count=1 -timeout 30m -parallel 4 -run Mutations -mutations

.PHONY: naive
naive: install ## The topology of the AWS SAM sample under the same faults: what it loses and doubles
	@go run ./internal/chaos/cmd/chaos --naive --orders 500 --seeds $(SEED)

# The folders that Go ignores, and modules of their own, are covered too: git knows every file of ours.
.PHONY: fmt
fmt: ## gofumpt on every Go file
	@git ls-files --cached --others --exclude-standard "*.go" | while read -r f; do if [ -f "$$f" ]; then echo "$$f"; fi; done | xargs $(TOOL) gofumpt -w

.PHONY: vuln
vuln: ## Known vulnerabilities in what we import, where their database can be reached
	@mkdir -p .local; \
	if $(TOOL) govulncheck ./... >.local/vuln.txt 2>&1; then cat .local/vuln.txt; \
	elif grep -qE "fetching vulnerabilities|vuln\.go\.dev" .local/vuln.txt && ! grep -q "^Vulnerability #" .local/vuln.txt; then \
		echo "vuln: not checked, the database of vulnerabilities could not be reached"; \
	else cat .local/vuln.txt; exit 1; fi

FUZZTIME ?= 30s

# What a run finds to be worth keeping stays in .local/fuzz for the next one; an input that fails goes to testdata/fuzz.
.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (default 30s)
	@failed=0; for found in $$(git grep -oE "^func Fuzz[A-Za-z0-9]+" -- "*_test.go" | sed "s/:func /:/"); do \
		dir=$$(dirname "$${found%:*}"); target="$${found#*:}"; echo "$$dir $$target"; \
		go test "./$$dir" -run "^$$target$$" -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -args -test.fuzzcachedir="$(CURDIR)/.local/fuzz/$$dir" || failed=1; \
	done; exit $$failed

BASE ?= origin/main
BENCH ?= .
BENCH_COUNT ?= 6

.PHONY: bench-compare
bench-compare: install ## The Go benchmarks that match BENCH (default all), compared with those of BASE (default origin/main)
	@rm -rf .local/base; git worktree prune; git worktree add --quiet --detach .local/base $(BASE); \
	trap 'git worktree remove --force .local/base' EXIT; \
	ln -s "$(CURDIR)/node_modules" .local/base/node_modules; \
	measure() { go test -run "^$$" -bench "$(BENCH)" -benchmem -count $(BENCH_COUNT) $$(git grep -lE "^func Benchmark" -- "*_test.go" | xargs -n1 dirname | sort -u | sed "s|^|./|"); }; \
	(cd .local/base && measure) > .local/base.txt; measure > .local/head.txt; \
	$(TOOL) benchstat base=.local/base.txt head=.local/head.txt | tee .local/compared.txt

.PHONY: cdk-versions
cdk-versions: install ## Compile and synthesize with the oldest awscdk that go.mod allows, and with the newest that can be had
	@.ci/cdk-versions

.PHONY: clean
clean: ## Remove what the other targets made
	@rm -rf cdk.out bin .local
