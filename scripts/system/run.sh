#!/usr/bin/env bash
# The Debian package under a real systemd: boots a Debian root in a container,
# installs dist/*.deb and looks at what happens. ARCH=amd64 (default) or armhf.
# Needs root, debootstrap and systemd-container; roots are kept in
# $XDG_CACHE_HOME/ostatok-roots or /var/cache/ostatok-roots.
#
# Says "skipped: …" and ends with 0 when this machine cannot boot a container.
set -euo pipefail
cd "$(dirname "$0")/../.."
arch=${ARCH:-amd64}
suite=bookworm
skip() { echo "test-system $arch: skipped: $*"; exit 0; }

[ "$(uname -s)" = Linux ] || skip "this is not Linux"
[ "$(id -u)" = 0 ] || skip "only root can boot a container"
for tool in systemd-nspawn debootstrap nsenter; do
  command -v $tool >/dev/null || skip "$tool is missing: apt-get install systemd-container debootstrap"
done
shopt -s nullglob
debs=(dist/ostatok_*_"$arch".deb)
[ ${#debs[@]} = 1 ] || { echo "there are ${#debs[@]} packages for $arch in dist: run make package" >&2; exit 1; }

foreign=no registered=no
if [ "$arch" = armhf ]; then
  foreign=yes
  command -v qemu-arm-static >/dev/null || skip "qemu-arm-static is missing: apt-get install qemu-user-static"
  [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null ||
    skip "this kernel has no binfmt_misc"
  if [ ! -e /proc/sys/fs/binfmt_misc/qemu-arm ]; then
    # F: the kernel keeps the interpreter open, so that it is there in any root.
    printf '%s' ':qemu-arm:M::\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$(command -v qemu-arm-static)"':F' \
      >/proc/sys/fs/binfmt_misc/register || skip "this kernel takes no binfmt entry"
    trap 'echo -1 >/proc/sys/fs/binfmt_misc/qemu-arm' EXIT
    registered=yes
  fi
fi

cache=${XDG_CACHE_HOME:-/var/cache}/ostatok-roots
base=$cache/$suite-$arch
if [ ! -e "$base.complete" ]; then
  mkdir -p "$cache"
  rm -rf "$base"
  began=$SECONDS
  echo "test-system $arch: making a root in $base"
  # In memory, because dpkg syncs each of its thousands of files; in a namespace,
  # so that the memory is given back however this ends.
  fresh=$(mktemp -d "$cache/making.XXXXXX")
  made=yes
  unshare --mount bash -c '
    mount -t tmpfs -o size=2g,mode=755 none "$1" || echo "no tmpfs: this takes longer"
    debootstrap --arch="$2" --variant=minbase --include=systemd,systemd-sysv,dbus "$3" "$1/root" || exit 1
    rm -rf "$1"/root/var/cache/apt/archives/*.deb "$1"/root/var/lib/apt/lists/*
    cp -a "$1/root" "$4"' - "$fresh" "$arch" "$suite" "$base" >"$base.log" 2>&1 || made=no
  rm -rf "$fresh"
  [ $made = yes ] || skip "debootstrap failed: $(tail -n 1 "$base.log")"
  touch "$base.complete"
  echo "test-system $arch: the root took $((SECONDS - began)) s, the next run has it"
fi

work=$(mktemp -d /var/tmp/ostatok-system.XXXXXX)
root=$work/root
container=
finish() {
  local code=$?
  if [ -n "$container" ]; then kill -KILL "$container" 2>/dev/null || true; wait "$container" 2>/dev/null || true; fi
  if [ $code != 0 ] && [ -e "$work/console" ]; then tail -n 30 "$work/console" >&2; fi
  rm -rf "$work"
  if [ $registered = yes ]; then echo -1 >/proc/sys/fs/binfmt_misc/qemu-arm; fi
}
trap finish EXIT
# minbase has no tree of another system in it: a plain copy is a second.
cp -a "$base" "$root"

# inside COMMAND…: in the container, as systemd there sees it.
leader=
inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --root --wd env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C "$@"; }

boot() {
  systemd-nspawn --quiet --directory="$root" --machine=ostatok-test --register=no --keep-unit --private-network \
    --boot --console=pipe </dev/null >>"$work/console" 2>&1 &
  container=$!
  leader=
  for _ in $(seq 600); do
    kill -0 "$container" 2>/dev/null || return 1
    leader=$(pgrep -P "$container" | head -n 1 || true)
    if [ -n "$leader" ] && [ "$(inside systemctl is-system-running 2>/dev/null || true)" = "${1:-running}" ]; then return 0; fi
    if [ -n "$leader" ] && [ "$(inside systemctl is-system-running 2>/dev/null || true)" = degraded ]; then return 0; fi
    sleep 0.2
  done
  return 1
}

halt() {
  inside systemctl poweroff >/dev/null 2>&1 || true
  wait "$container" || true
  container=
}

boot || skip "a container with nothing of ours in it does not boot: $(grep -vE '^\s*$' "$work/console" | tail -n 1)"
echo "test-system $arch: $(inside systemctl --version | head -n 1) boots"
export foreign
# shellcheck source=scripts/system/checks.sh
. scripts/system/checks.sh
