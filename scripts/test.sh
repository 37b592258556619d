#!/usr/bin/env bash
# Runs `go test` with the given arguments and closes on one plain line of counts.
# What a test prints is shown only when its package fails; a skipped test is
# named, with the reason that it gives.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -json -timeout 20m "$@" >"$log"
status=$?
env -u GOOS -u GOARCH -u GOARM go run ./scripts/testcount <"$log" # on this machine, whatever is tested
counted=$?
[ "$status" -eq 0 ] && exit "$counted"
exit "$status"
