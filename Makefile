# Every target that a person types is explained by `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

STACK ?= Orders-dev
ENVIRONMENTS := dev staging prod
CDK := npx --no-install cdk
TOOL := go tool -modfile=tools/go.mod

# jsii prints a box of text about the age of a Node that we do not choose.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1
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
	@go run ./test/demo

.PHONY: local
local: synth ## Run the synthesized STACK (default Orders-dev) here until Ctrl-C
	@go build -o bin/local ./local
	@exec bin/local --stack $(STACK)

.PHONY: test
test: install ## vet, unit, synth, golden and end-to-end tests
	@go vet ./...
	@go test -race ./...

.PHONY: lint
lint: ## golangci-lint, with the import rules of the house
	@$(TOOL) golangci-lint run ./...

.PHONY: diff
diff: install ## cdk diff of each environment against its golden template
	@for e in $(ENVIRONMENTS); do $(CDK) diff "Orders-$$e" --template "test/synth/golden/Orders-$$e.json"; done

.PHONY: golden
golden: install ## Renew the golden templates after an intended change; read the git diff before you commit it
	@go test ./test/synth -run Golden -update -count=1

.PHONY: bench
bench: synth ## The figures of docs/benchmarks.md, measured on this machine
	@go run ./test/bench

.PHONY: fmt
fmt: ## gofumpt
	@$(TOOL) gofumpt -w constructs lambdas local runtime stacks test main.go

.PHONY: vuln
vuln: ## Known vulnerabilities in what we import
	@$(TOOL) govulncheck ./...

.PHONY: clean
clean: ## Remove what the other targets made
	@rm -rf cdk.out bin .local
