#!/usr/bin/env bash
# The binary and the packages whose words and arithmetic depend on 32 bits, as
# linux/arm under qemu.
set -euo pipefail
cd "$(dirname "$0")/.."
qemu=$(command -v qemu-arm-static || command -v qemu-arm) || { echo "qemu-arm-static is missing: apt-get install qemu-user-static" >&2; exit 1; }
export GOOS=linux GOARCH=arm GOARM=7 CGO_ENABLED=0
scripts/test.sh -exec "$qemu" ./agent/stock/... ./agent/sqlite/... ./agent/journal/... ./sync/evotor/
mkdir -p dist
go build -trimpath -ldflags '-s -w' -o dist/ostatok-linux-arm7 ./cmd/ostatok
unset GOOS GOARCH GOARM
make build
go run ./scripts/demo -dir dist/demo-arm -run "$qemu" -agent dist/ostatok-linux-arm7 -products 300 -documents 3000
