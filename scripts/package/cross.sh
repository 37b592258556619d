#!/usr/bin/env bash
# The agent and its launcher for all boxes, into dist/. Then builds some of them
# again, elsewhere and from nothing, and compares: REPRODUCE="arm:6 amd64:" by
# default, "all" for each, "" for none. VERSION, COMMIT, BUILT and TAGS come from
# the Makefile.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${BUILT:?run it through make}"
export GOTOOLCHAIN=local CGO_ENABLED=0 GOOS=linux
all="arm:6 arm:7 arm64: amd64: 386:"
again=${REPRODUCE-arm:6 amd64:}
[ "$again" = all ] && again=$all

# The launcher orders releases by version: what has none of its own is older than all.
version=${VERSION#v}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || version=0.0.0-dev.g${COMMIT:-unknown}

build() { # FROM TARGET INTO
  local arch=${2%%:*} arm=${2##*:}
  (
    cd "$1"
    export GOARCH=$arch GOARM=$arm
    go build -trimpath -buildvcs=false -tags "${TAGS-}" \
      -ldflags "-s -w -X main.version=$version -X main.commit=${COMMIT:-unknown} -X main.built=$BUILT" \
      -o "$3/ostatok-linux-$arch$arm" ./cmd/ostatok
    go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$3/ostatok-launcher-linux-$arch$arm" ./cmd/ostatok-launcher
  )
}

mkdir -p dist
rm -f dist/ostatok-linux-* dist/ostatok-launcher-linux-* dist/SHA256SUMS dist/version
for t in $all; do build . "$t" "$PWD/dist"; done
(cd dist && sha256sum ostatok-linux-* ostatok-launcher-linux-* >SHA256SUMS && echo "$version" >version)
ls -l dist | awk 'NR>1 {print $5, $9}'

[ -n "$again" ] || exit 0
elsewhere=$(mktemp -d)
trap 'chmod -R u+w "$elsewhere" && rm -rf "$elsewhere"' EXIT
mkdir "$elsewhere/source" "$elsewhere/dist"
tar -c --exclude=./.git --exclude=./dist --exclude=./bin --exclude=./demo . | tar -x -C "$elsewhere/source"
for t in $again; do
  GOCACHE=$elsewhere/cache build "$elsewhere/source" "$t" "$elsewhere/dist"
done
for f in "$elsewhere"/dist/*; do
  cmp "$f" "dist/$(basename "$f")" || { echo "$(basename "$f") is not the same when it is built again" >&2; exit 1; }
done
echo "the same bytes twice: $(cd "$elsewhere/dist" && echo *)"
