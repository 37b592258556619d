# ostatok: the stock of a shop beside its Evotor terminals.
#
#   make demo          a shop on your desk: first sync, levels, plan, approval, four systems in step
#   make test          everything that needs only Go
#   make ci            what .ci/run adds: 386, arm under qemu, race, lint … (installs Debian packages)
#   make accuracy      how right the figures are, ledger against guide
#   make bench         the budgets: measured beside promised
#   make crash         kills of the real binary, KILLS=300
#   make faults        the real binary on cards that fail: power cuts, EIO, full, read-only (FUSE, root)
#   make chaos         many days of a shop in which everything fails, CHAOS_SEEDS=300
#   make fuzz          every decoder that takes bytes from outside, FUZZ=60s each, FUZZ_JOBS side by side
#   make browser       the page in a real browser (Debian's chromium)
#   make fleet         1 000 agents' MQTT side against mosquitto: reconnects, memory, commands
#   make cross         binaries for the boxes, reproducible
#   make package       .deb for armhf, arm64, amd64
#   make test-system   the package under a real systemd, in a container (root)
export GOTOOLCHAIN := local
export CGO_ENABLED ?= 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
BUILT   ?= $(shell git log -1 --format=%cI 2>/dev/null || echo 2026-01-01T00:00:00Z)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.built=$(BUILT)
# HTTP/2 is left out of the agent: nothing that it calls needs it, and a box's
# flash has better uses for 0.6 MB.
TAGS     = nethttpomithttp2
BUILD    = go build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)'
KILLS   ?= 300
KEEP    ?=
CHAOS_SEEDS ?= 300
FAULTS_FLAGS ?=
SYSTEMS ?= amd64 armhf

.PHONY: all build test demo ci accuracy bench crash faults chaos fuzz browser fleet cross package test-system race lint test-386 test-arm clean

all: build

build: bin/ostatok bin/ostatokctl bin/ostatok-sandbox

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

# A module of its own: what it needs never comes into the agent's. FAULTS_STEP=1
# tries every call, FAULTS_FIRST=n begins with the n-th, FAULTS_CUTS=1000 cuts at
# that many moments.
faults: build
	scripts/faults/run.sh $(FAULTS_FLAGS)

chaos:
	CHAOS_SEEDS=$(CHAOS_SEEDS) scripts/test.sh -count=1 -timeout 2h -run TestChaos ./agent

fuzz:
	scripts/fuzz.sh

browser:
	scripts/test.sh -count=1 -tags browser -run 'Browser|Scripts' ./agent/page ./agent

fleet:
	go run ./scripts/fleet

# Under the race detector, and as 386, properties are tried on fewer cases, and
# the longest tables on few rows: the plain run has tried them on all. Under the
# race detector are left out what plays finished programs, which it does not see,
# and the long days of a world in which TestChaos plays days as well.
PROGRAMS = Story|Scripts|UpdateStory|UpdateChain|UpdateToTheNextLevel|KillTable|Chain|DiskFullAfterSomeWrites
DAYS     = NothingChangesNothingIsSent|FiguresOnlyFallWithoutKeyCRM|WebhooksAreAnAccelerator
race:
	RAPID_CHECKS=20 CGO_ENABLED=1 scripts/test.sh -short -race -skip '^Test($(PROGRAMS)|$(DAYS))$$' ./...

test-386:
	scripts/test-386.sh

test-arm:
	scripts/test-arm.sh

lint:
	scripts/lint.sh

ci:
	bash .ci/run

cross:
	VERSION='$(VERSION)' COMMIT='$(COMMIT)' BUILT='$(BUILT)' TAGS=nethttpomithttp2 scripts/package/cross.sh

package: cross
	BUILT='$(BUILT)' scripts/package/deb.sh

# Needs root, debootstrap and systemd-container; says what it skips and why.
test-system: package
	for arch in $(SYSTEMS); do ARCH=$$arch scripts/system/run.sh || exit 1; done
	scripts/system/plain.sh

clean:
	rm -rf bin dist demo

