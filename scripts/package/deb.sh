#!/usr/bin/env bash
# Debian packages from what cross.sh has built, and a check that they come out the
# same twice. BUILT is the date that is in them, MAINTAINER whom to write to.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${BUILT:?run it through make}"
export GOTOOLCHAIN=local VERSION MAINTAINER BUILT SOURCE_DATE_EPOCH
VERSION=$(cat dist/version)
MAINTAINER=${MAINTAINER:-ostatok <ostatok@localhost>}
SOURCE_DATE_EPOCH=$(date -u -d "$BUILT" +%s)
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
rm -f dist/*.deb
# armhf is the ARMv6 build: it runs on the oldest boxes that call themselves so.
for pair in armhf:arm6 arm64:arm64 amd64:amd64; do
  export ARCH=${pair%%:*} GO=${pair##*:}
  for into in dist "$again"; do
    go tool -modfile=scripts/tools/go.mod nfpm package --config scripts/package/nfpm.yaml --packager deb --target "$into" \
      >"$again/said" || { cat "$again/said" >&2; exit 1; }
  done
done
for f in dist/*.deb; do
  cmp "$f" "$again/$(basename "$f")" || { echo "$f is not the same when it is made again" >&2; exit 1; }
done
ls -l dist/*.deb | awk '{print $5, $9}'
