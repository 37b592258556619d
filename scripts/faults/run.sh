#!/usr/bin/env bash
# Runs the tests of this module and closes on one plain line of counts, as
# scripts/test.sh does for the agent's.
set -uo pipefail
cd "$(dirname "$0")"
# Most of a session is waiting: more of them than there are processors.
go test -json -count=1 -parallel "${FAULTS_PARALLEL:-8}" -timeout "${FAULTS_TIMEOUT:-60m}" . "$@" | (cd ../.. && go run ./scripts/testcount)
