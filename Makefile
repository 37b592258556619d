# ostatok: the stock of a shop beside its Evotor terminals.
#
#   make demo          a shop on your desk: first sync, levels, plan, approval
#   make test          everything that needs only Go
#   make ci            what .ci/run adds: 386, arm under qemu, race, lint (installs Debian packages)
#   make accuracy      how right the figures are, ledger against guide
#   make bench         the budgets: measured beside promised
#   make crash         kills of the real binary, KILLS=300
#   make cross         binaries for the boxes
export GOTOOLCHAIN := local
export CGO_ENABLED ?= 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
BUILT   ?= $(shell git log -1 --format=%cI 2>/dev/null || echo 2026-01-01T00:00:00Z)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.built=$(BUILT)
# HTTP/2 is left out of the agent: nothing that it calls needs it, and a box's
# flash has better uses for 0.6 MB.
BUILD    = go build -trimpath -tags nethttpomithttp2 -ldflags '$(LDFLAGS)'
KILLS   ?= 300
KEEP    ?=

.PHONY: all build test demo ci accuracy bench crash cross race lint test-386 test-arm cover clean

all: build

build: bin/ostatok bin/ostatok-sandbox

bin/%: FORCE
	@mkdir -p bin
	$(BUILD) -o $@ ./cmd/$*

FORCE:

test:
	go vet ./...
	scripts/test.sh ./...

demo: build
	go run ./scripts/demo $(if $(KEEP),-keep)

accuracy:
	go run ./scripts/accuracy

bench: build
	scripts/bench/run.sh

crash: build
	go run ./scripts/crash -kills $(KILLS)

# Under the race detector, and as 386, properties are tried on fewer cases: the
# plain run has tried them on all.
race:
	RAPID_CHECKS=20 CGO_ENABLED=1 scripts/test.sh -race ./...

test-386:
	RAPID_CHECKS=30 GOARCH=386 scripts/test.sh ./...

test-arm:
	scripts/test-arm.sh

lint:
	scripts/lint.sh

ci:
	bash .ci/run

cross:
	@mkdir -p dist
	@for t in arm:6 arm:7 arm64: amd64: 386:; do \
	  GOOS=linux GOARCH=$${t%%:*} GOARM=$${t##*:} $(BUILD) -o dist/ostatok-linux-$${t%%:*}$${t##*:} ./cmd/ostatok || exit 1; \
	done; ls -l dist

clean:
	rm -rf bin dist demo
