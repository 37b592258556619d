#!/usr/bin/env bash
# The suite as 386. Some kernels run no 32-bit programs at all: there what does
# without programs of its own and without simulated days runs as linux/arm under
# qemu, which is 32 bits too and some ten times as slow. (qemu-i386 is no way: Go's
# threads crash in it.)
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
GOARCH=386 go build -o "$probe/testcount" ./scripts/testcount
if "$probe/testcount" </dev/null >"$probe/said" 2>&1 || grep -q passed "$probe/said"; then
  RAPID_CHECKS=30 GOARCH=386 scripts/test.sh -short ./...
  exit
fi
echo "test-386: skipped as 386: this kernel runs no 32-bit programs; what can is run as linux/arm under qemu"
qemu=$(command -v qemu-arm-static || command -v qemu-arm) || { echo "qemu-arm-static is missing: apt-get install qemu-user-static" >&2; exit 1; }
GOARCH=386 go vet ./...
# TestFullRunMemory starts a program of its own, which the kernel would have to run.
RAPID_CHECKS=20 GOOS=linux GOARCH=arm GOARM=7 scripts/test.sh -short -exec "$qemu" -skip '^TestFullRunMemory$' \
  ./agent/command ./agent/config ./agent/local ./agent/message ./agent/mirror ./agent/page \
  ./platform/clock ./platform/disk ./platform/lock ./platform/release \
  ./sync/keycrm/... ./sync/match ./sync/rest ./sync/virtpos/... ./sync/zelenka/...
