#!/bin/sh
# Puts ostatok on a box that no package is for, or takes it off again.
#
#   sh install.sh [DIR]          DIR has ostatok-linux-ARCH, by default this script's
#   sh install.sh --uninstall [--purge]
#
# Programs go to /usr/local (PREFIX=…). Needs root, and no systemd.
set -eu
prefix=${PREFIX:-/usr/local}
say() { echo "install.sh: $*" >&2; }
fail() { say "$*"; exit 1; }
[ "$(id -u)" = 0 ] || fail "only root can do this; run it with sudo"

if [ "${1:-}" = --uninstall ]; then
  shift
  if [ -x "$prefix/bin/ostatok" ]; then "$prefix/bin/ostatok" uninstall "$@"; fi
  rm -f "$prefix/bin/ostatok" "$prefix/lib/ostatok/ostatok-launcher"
  if [ -d "$prefix/lib/ostatok" ]; then rmdir "$prefix/lib/ostatok"; fi
  exit 0
fi

from=${1:-$(dirname "$0")}
case $(uname -m) in
armv6*) arch=arm6 ;;
armv7* | armv8l) arch=arm7 ;;
aarch64 | arm64) arch=arm64 ;;
x86_64 | amd64) arch=amd64 ;;
i?86) arch=386 ;;
*) fail "there is no build for $(uname -m)" ;;
esac
for name in ostatok ostatok-launcher; do
  [ -f "$from/$name-linux-$arch" ] || fail "$from/$name-linux-$arch is missing; name the directory that has it"
  if [ -f "$from/SHA256SUMS" ]; then
    want=$(sed -n "s/^\([0-9a-f]*\)  $name-linux-$arch\$/\1/p" "$from/SHA256SUMS")
    have=$(sha256sum "$from/$name-linux-$arch" | cut -d ' ' -f 1)
    [ "$want" = "$have" ] || fail "$from/$name-linux-$arch is damaged: copy it again"
  fi
done

# put SOURCE TARGET: in one step, also over a program that runs.
put() {
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new"
  chmod 755 "$2.new"
  mv -f "$2.new" "$2"
}
put "$from/ostatok-launcher-linux-$arch" "$prefix/lib/ostatok/ostatok-launcher"
put "$from/ostatok-linux-$arch" "$prefix/bin/ostatok"
sync
"$prefix/bin/ostatok" install --force
