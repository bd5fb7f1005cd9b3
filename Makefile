SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUILD := $(CURDIR)/build
TOOLS := $(BUILD)/tools
export TOOLS

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
sdk := github.com/cosmos/cosmos-sdk/version
LDFLAGS := -X $(sdk).Name=fog -X $(sdk).Version=$(VERSION) -X $(sdk).Commit=$(COMMIT)
BUILDFLAGS := -ldflags '$(LDFLAGS)'

## build: build fogd and fog into build/
.PHONY: build
build:
	go build $(BUILDFLAGS) -o $(BUILD)/fogd ./cmd/fogd
	go build $(BUILDFLAGS) -o $(BUILD)/fog ./cmd/fog

## runner: build the program of the Nomad runner image (ADR 0013), static, into build/fog-runner
.PHONY: runner
runner:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BUILD)/fog-runner ./cmd/fog-runner

# The systems that we build for besides Linux on amd64, as system/architecture/binary: without cgo and at the lowest level of each
# architecture, whatever the environment says.
CROSS := linux/arm64/fog linux/arm64/fogd darwin/arm64/fog darwin/arm64/fogd windows/amd64/fog
CROSSENV := CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0

## cross: build fog for Linux and macOS on arm64 and for Windows, and fogd for the first two, into build/cross/
.PHONY: cross
cross:
	for target in $(CROSS); do \
		system=$${target%/*}; \
		echo "$$target"; \
		$(CROSSENV) GOOS=$${system%/*} GOARCH=$${system#*/} \
			go build $(BUILDFLAGS) -o "$(BUILD)/cross/$${system/\//-}/" "./cmd/$${target##*/}"; \
	done

## demo: build, then run one real job on a fresh devnet; the report is build/demo/report.json
.PHONY: demo
demo: build
	$(BUILD)/fog demo

## test: run all tests
.PHONY: test
test:
	go test -timeout 60m ./...

## test-joint: two nodes that are one machine are found out by the oracles of a devnet; by itself, since its verdicts depend on how fast the machine is
.PHONY: test-joint
test-joint:
	FOG_TEST_TIMED=1 go test -timeout 30m -count 1 -v -run TestJointBenchmark ./internal/devnettest

## test-nomad: run the tests that need a real Nomad (nomad on PATH, root, a docker daemon); they are skipped without
.PHONY: test-nomad
test-nomad:
	go test -timeout 60m -count 1 -v -run '^TestReal' ./offchain/dispatch/nomad ./internal/devnettest

## test-security: test-gateway, test-attacks, test-grid, and the tests of secrets and identity against all that is installed (bao or vault, PostgreSQL), and say what is not
.PHONY: test-security
test-security: test-gateway test-attacks test-grid
	@for program in bao vault; do \
		command -v $$program >/dev/null || echo "*** $$program is not on PATH ***"; \
	done
	@command -v bao >/dev/null || command -v vault >/dev/null || echo "*** NOT TESTED against a real Vault or OpenBao: only the stand-in is ***"
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		echo "*** NOT TESTED with a real PostgreSQL: there is no initdb on PATH or where Debian has it ***"
	go test -timeout 30m -count 1 -v ./offchain/secrets/... ./offchain/gateway ./offchain/gateway/store 2>&1 | scripts/verdicts.sh

## test-gateway: the gateway's tokens against docker, crane, oras and Debian's docker-registry, and nginx; what is missing is skipped, and said so
.PHONY: test-gateway
test-gateway:
	go test -count 1 -v -run 'TestDebian|TestOras|TestCrane|TestDocker|TestNginx|Postgres' ./offchain/gateway ./deploy/nginx

## test-grid: whole grids with a gateway: secrets in files and in Vault, mutual TLS, nginx and Nomad where they are on PATH, revocation measured
.PHONY: test-grid
test-grid:
	go test -timeout 30m -count 1 -v -run '^(TestGateway|TestEnrolment|TestVault)$$' ./internal/devnettest 2>&1 | tee >(grep -h 'MEASURED\|SKIPPED\|looked ' >&2) | scripts/verdicts.sh

## test-attacks: jobs that attack their node, and what else docs/security.md names; containers where a Docker Engine answers, else skipped, and said so
.PHONY: test-attacks
test-attacks:
	go test -timeout 30m -count 1 -v -run 'Attack|Outlives|Escape|Reach|Privileges|VolumesOfTheHost|InNoLog|Forged|ForeignAuthority|OldTLS|NotResumed|RawModules|AsksForMore|Nginx|Sealed|Encrypt|NotSealed|Tampering|WithoutTheLoan|PlainMachine' \
		./offchain/dispatch/direct ./offchain/agent ./offchain/jobfile ./offchain/gateway ./offchain/link ./offchain/secrets/vault ./offchain/seal ./offchain/jobclient ./deploy/nginx 2>&1 | scripts/verdicts.sh

## test-planted: a whole grid with a gateway on Vault (a real one where bao or vault is on PATH), jobs with planted secrets, and a search for these in all that it wrote
.PHONY: test-planted
test-planted:
	go test -timeout 30m -count 1 -v -run '^TestVault$$' ./internal/devnettest

## bench: run the benchmarks, then those beside the peers that are installed; BENCH=Settle runs only ours that match
BENCH ?= .
.PHONY: bench
bench:
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m ./...
ifeq ($(BENCH),.)
	bench/peers.sh
endif

## bench-peers: our figures beside scikit-learn's and, with NOMAD_SRC naming a checkout, beside those of Nomad's scheduler
.PHONY: bench-peers
bench-peers:
	bench/peers.sh

## fuzz: run each fuzz target for FUZZTIME (10s)
FUZZTIME ?= 10s
.PHONY: fuzz
fuzz:
	scripts/fuzz.sh $(FUZZTIME)

## lint: run golangci-lint with the rules of .golangci.yml
.PHONY: lint
lint: $(TOOLS)/golangci-lint@v2.15.0
	$(TOOLS)/golangci-lint run

## vuln: search the code for known vulnerabilities that it calls; where vuln.go.dev cannot be reached it says that nothing was searched
.PHONY: vuln
vuln: $(TOOLS)/govulncheck@v1.9.0
	go run ./internal/vulncheck -govulncheck $(TOOLS)/govulncheck -accepted .vulnaccepted ./...

## sbom: build fogd and fog, and write what is in them as CycloneDX into build/sbom/
.PHONY: sbom
sbom: build $(TOOLS)/cyclonedx-gomod@v1.10.0
	scripts/sbom.sh $(VERSION)

## proto: generate Go and OpenAPI from proto/; PKG=escrow generates the Go of that package only
PROTO_TOOLS := $(TOOLS)/buf@v1.75.0 $(TOOLS)/protoc-gen-gocosmos@v1.7.2 $(TOOLS)/protoc-gen-grpc-gateway@v1.16.0 \
	$(TOOLS)/protoc-gen-swagger@v1.16.0
PKG ?=
.PHONY: proto
proto: $(PROTO_TOOLS)
	scripts/proto.sh gen $(PKG)

## proto-check: fail if generated files differ from what proto/ generates
.PHONY: proto-check
proto-check: $(PROTO_TOOLS)
	scripts/proto.sh check

## proto-vendor: copy the third-party protos of the versions in go.mod to proto/third_party
.PHONY: proto-vendor
proto-vendor:
	scripts/proto.sh vendor

## clean: remove what was built, but keep build/tools
.PHONY: clean
clean:
	@if [ -d $(BUILD) ]; then find $(BUILD) -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +; fi

## help: list the targets
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# A tool is installed as build/tools/NAME; the empty file NAME@VERSION says which version it is.
pkg-buf := github.com/bufbuild/buf/cmd/buf
pkg-protoc-gen-gocosmos := github.com/cosmos/gogoproto/protoc-gen-gocosmos
pkg-protoc-gen-grpc-gateway := github.com/grpc-ecosystem/grpc-gateway/protoc-gen-grpc-gateway
pkg-protoc-gen-swagger := github.com/grpc-ecosystem/grpc-gateway/protoc-gen-swagger
pkg-cyclonedx-gomod := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
pkg-govulncheck := golang.org/x/vuln/cmd/govulncheck
pkg-golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/%:
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) GOFLAGS= go install $(pkg-$(word 1,$(subst @, ,$*)))@$(word 2,$(subst @, ,$*))
	@rm -f $(TOOLS)/$(word 1,$(subst @, ,$*))@*
	@touch $@
