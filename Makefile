# make run    build, and run a command in the sandbox:  make run CMD='python3 --version'
# make test   everything that must pass; installs the Debian packages that the tests need
# make bench  sandbox against native, printed as a table
# make soak   stress-ng's classes and the long suites
# make lint   gofmt, go vet, staticcheck
GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BIN     := bin/hornwork
CMD     ?= sh -c 'echo "Hello from $$(uname -sr), process $$$$, as $$(id -un)"'

export CGO_ENABLED = 0

.PHONY: all run test bench soak lint clean hornwork

all: hornwork

hornwork:
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/hornwork

run: hornwork
	./$(BIN) do -- $(CMD)

lint:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not gofmt'ed:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

test: hornwork lint
	.ci/packages
	$(GO) test $$($(GO) list ./... | grep -v /conformance)
	CGO_ENABLED=1 $(GO) test -race ./lib/... ./gofer/... ./sentry/vfs/... ./sentry/fs/... ./sentry/sock/...
	$(GO) test -tags lockrank ./lib/... ./sentry/...
	HORNWORK=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 40m ./conformance

bench: hornwork
	$(GO) run ./bench $(CURDIR)/$(BIN)

soak: hornwork
	conformance/soak ./$(BIN)

clean:
	rm -rf bin
