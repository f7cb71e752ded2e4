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
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

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

.PHONY: demo
demo: synth ## From clone to result: run Orders-dev here, POST an order, follow its event to both consumers
	@go run ./internal/demo

.PHONY: local
local: synth ## Run the synthesized STACK (default Orders-dev) here until Ctrl-C
	@go build -o bin/outbox ./cmd/outbox
	@exec bin/outbox local --stack $(STACK)

.PHONY: test
test: install ## vet, unit, synth, golden and end-to-end tests
	@go vet ./...
	@go test -race ./...

.PHONY: lint
lint: ## golangci-lint, with the import rules of the house
	@$(TOOL) golangci-lint run ./...

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
chaos: synth schedules ## ORDERS (default 2000) under every legal fault and kills, shared by SEEDS: what goes in must come out, once
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

.PHONY: fmt
fmt: ## gofumpt
	@$(TOOL) gofumpt -w $$(git ls-files "*.go" | xargs -n1 dirname | sort -u)

.PHONY: vuln
vuln: ## Known vulnerabilities in what we import
	@$(TOOL) govulncheck ./...

.PHONY: clean
clean: ## Remove what the other targets made
	@rm -rf cdk.out bin .local
