# Everything that people and CI do with this project. `make` alone lists it.

ARCHES := amd64 arm64 s390x
# ARCH limits `make charm` to one of ARCHES.
ARCH ?= $(ARCHES)
VERSION := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)

# Programs and tests are built the same way: static, without a C compiler.
export CGO_ENABLED := 0
# The same source gives the same bytes: no paths, no time, no state of the checkout.
GOBUILD := go build -v -trimpath -buildvcs=false -ldflags='-s -w'
# The first build of the tests' own tools takes minutes on two cores.
TEST_TIMEOUT := 45m
# Some packages fill the machine with servers and machines of their own: one at a time.
# TESTFLAGS goes to go test, as in `make test TESTFLAGS=-v`.
TESTFLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help build demo demo-down test lint bench charm clean force

help: ## list the targets
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  %-10s %s\n", $$1, $$2}'

build: build/charm build/registry.sha256 ## build the charm and the registry into build/

build/charm: force
	@echo 'building $@; each package is shown once it is compiled'
	@$(GOBUILD) -o $@ ./cmd/charm

build/registry: force
	@echo 'building $@; the first time takes some minutes'
	@$(GOBUILD) -o $@ ./cmd/registry

build/registry.sha256: build/registry
	@sha256sum build/registry | cut -d' ' -f1 >$@

demo: build ## bring up a registry with TLS and a password, push an image, pull it back
	@go run ./cmd/demo up

demo-down: build ## take down what `make demo` left running, with its images
	@go run ./cmd/demo down

test: ## run all tests; what a machine cannot run is skipped by name
	go test -p 1 -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./...
	cd tests/engine && go test -p 1 -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./...
	cd tests && go test -p 1 -timeout $(TEST_TIMEOUT) $(TESTFLAGS) ./...

lint: ## check formatting and run go vet and staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	cd tests && go vet ./...
	cd tests/engine && go vet ./...
	cd tests/version2 && go vet ./...
	go build -o build/staticcheck honnef.co/go/tools/cmd/staticcheck
	build/staticcheck ./...
	cd tests && ../build/staticcheck ./...
	cd tests/engine && ../../build/staticcheck ./...
	cd tests/version2 && ../../build/staticcheck ./...

bench: ## measure what docs/benchmarks.md tells; takes minutes and needs root
	@echo 'building the stock registry, of the version of distribution that go.mod names' >&2
	@GOBIN=$(CURDIR)/build/stock go install -trimpath -ldflags='-s -w' \
		github.com/distribution/distribution/v3/cmd/registry@$$(go list -m -f '{{.Version}}' github.com/distribution/distribution/v3)
	@cd tests/version2 && go build -trimpath -ldflags='-s -w' -o $(CURDIR)/build/stock/version2
	@arch=$$(go env GOARCH) && $(MAKE) --no-print-directory charm ARCH=$$arch >&2 && cd tests && go run ./bench \
		-charm ../build/docker-registry_$$arch.charm -registry ../build/$$arch/registry \
		-stock ../build/stock/registry -version2 ../build/stock/version2

charm: $(ARCH:%=build/docker-registry_%.charm) ## pack the charm for amd64, arm64 and s390x, or for ARCH=amd64 only

build/docker-registry_%.charm: force
	@echo 'building the charm and the registry for $*'
	@GOARCH=$* $(GOBUILD) -o build/$*/charm ./cmd/charm
	@GOARCH=$* $(GOBUILD) -o build/$*/registry ./cmd/registry
	@go run ./cmd/pack -arch $* -charm build/$*/charm -registry build/$*/registry -version '$(VERSION)' -out $@

clean: ## remove build/, and take down what `make demo` left running
	@test ! -e build/demo || go run ./cmd/demo down
	rm -rf build
