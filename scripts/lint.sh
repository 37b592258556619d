#!/usr/bin/env bash
# Format, vet, staticcheck, and the rules that no linter knows.
set -euo pipefail
cd "$(dirname "$0")/.."
unformatted=$(gofmt -l agent cmd sync platform scripts)
[ -z "$unformatted" ] || { echo "not formatted: $unformatted" >&2; exit 1; }
go vet ./...
(cd scripts/faults && go vet ./...)
go tool -modfile=scripts/tools/go.mod staticcheck ./...
long=$(git ls-files '*.go' | grep -vE '_test\.go$|/testdata/' | xargs wc -l | awk '$1>500 && $2!="total"')
[ -z "$long" ] || { echo "files over 500 lines: $long" >&2; exit 1; }
for main in cmd/*/main.go; do
  [ "$(wc -l <"$main")" -le 60 ] || { echo "$main is longer than 60 lines" >&2; exit 1; }
done
if git ls-files | grep -E '(^|/)(util|utils|common|helpers)(/|\.go$)'; then
  echo "a folder or file without a noun of its own" >&2; exit 1
fi
echo "lint: clean"
