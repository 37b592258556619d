#!/usr/bin/env bash
# scripts/install.sh on a box without systemd: a Debian root whose init is taken
# out, in namespaces of its own. Run after run.sh, which makes the root.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=${XDG_CACHE_HOME:-/var/cache}/ostatok-roots/bookworm-amd64
skip() { echo "test-system plain: skipped: $*"; exit 0; }
[ "$(id -u)" = 0 ] || skip "only root can make a box in a box"
[ -e "$base.complete" ] || skip "there is no root in $base: run.sh makes it"
[ -e dist/SHA256SUMS ] || { echo "there is nothing in dist: run make cross" >&2; exit 1; }
work=$(mktemp -d /var/tmp/ostatok-plain.XXXXXX)
trap 'rm -rf "$work"' EXIT
cp -a "$base" "$work/root"
rm -f "$work/root/sbin/init" "$work/root/usr/sbin/init" "$work/root/usr/bin/systemctl"
mkdir "$work/root/media/box"
cp dist/*-linux-amd64 dist/SHA256SUMS scripts/install.sh "$work/root/media/box/"
cat >"$work/root/story" <<'S'
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ok() { echo "  ok    $*"; }
fail() { echo "  FAIL  $*"; cat /var/log/ostatok* 2>/dev/null | tail -n 5; exit 1; }
await() { n=0; until "$@" >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 300 ] || fail "$*"; sleep 0.1; done; }
agent() { for p in /proc/[0-9]*; do case $(readlink "$p/exe" 2>/dev/null) in */program/versions/*) echo "${p#/proc/}" ;; esac; done; }
mount -t proc proc /proc

printf x >>/media/box/ostatok-linux-amd64
if sh /media/box/install.sh 2>/dev/null; then fail "a damaged file is installed"; fi
truncate -s -1 /media/box/ostatok-linux-amd64
ok "a damaged file is refused"

sh /media/box/install.sh
await sh -c 'ls /var/lib/ostatok/program/versions/*/ostatok'
ok "installed, and the launcher has a version"
mkdir -p /etc/ostatok
printf '3f0c7a52-9a5e-4a3c-b7d1-6a1f0e5f2d11\n' >/etc/ostatok/evotor.token
chmod 600 /etc/ostatok/evotor.token
chown ostatok /etc/ostatok/evotor.token
printf 'store = "20170222-D58C-40E0-8051-B53ADFF38860"\n[evotor]\nurl = "http://127.0.0.1:9"\n' >/etc/ostatok/ostatok.toml
sh /media/box/install.sh
await test -S /var/lib/ostatok/ostatok.sock
await sh -c 'ostatok status | grep "runs as process"'
ok "installed again with a configuration, and it runs"
[ "$(stat -c %U "/proc/$(agent)")" = ostatok ] || fail "it does not run as ostatok"
[ -z "$(find /var/lib/ostatok -user root)" ] || fail "files of root in its directory"
ok "as its own user"
first=$(agent)
kill -KILL "$first"
await sh -c "ostatok status | grep 'runs as process' | grep -v 'process $first '"
ok "started again after SIGKILL"
ostatok status | grep -q 'service *running' || fail "status does not say so"
ostatok stop
[ -z "$(agent)" ] || fail "an agent is left"
ok "stops, and nothing is left running"
ostatok start
await sh -c 'ostatok status | grep "runs as process"'
sh /media/box/install.sh --uninstall
[ -z "$(agent)" ] || fail "an agent is left"
left=$(ls -d /usr/local/bin/ostatok /usr/local/lib/ostatok /etc/init.d/ostatok /etc/rc?.d/*ostatok 2>/dev/null || true)
[ -z "$left" ] || fail "left: $left"
[ -e /var/lib/ostatok/journal.db ] || fail "the data is gone"
ok "uninstalled: nothing is left but data, configuration and logs"
S
if unshare --mount --pid --fork --net --uts --ipc --kill-child chroot "$work/root" sh /story; then
  echo "test-system plain: fine"
else
  echo "test-system plain: FAILED" >&2
  exit 1
fi
