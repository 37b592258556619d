# What the package has to show under systemd; sourced by run.sh, which gives
# inside, boot, halt, root and debs.

failed=0
ok() { echo "  ok    $*"; }
bad() { echo "  FAIL  $*"; failed=1; }
# check WHAT COMMAND…
check() {
  local what=$1
  shift
  if "$@" >"$work/said" 2>&1; then ok "$what"; else bad "$what: $(tail -n 3 "$work/said" | tr '\n' ' ')"; fi
}
property() { inside systemctl show -P "$1" ostatok.service; }
is() { [ "$(property "$1")" = "$2" ] || { echo "$1 is $(property "$1"), not $2"; return 1; }; }
# await SECONDS COMMAND…
await() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >"$work/said" 2>&1; do
    [ $SECONDS -lt $end ] || { cat "$work/said"; inside journalctl -u ostatok -n 5 --no-pager -o cat; return 1; }
    sleep 0.3
  done
}
another() { [ "$(property MainPID)" != "$1" ] && [ "$(property MainPID)" != 0 ] && is ActiveState active; }
slow=1
[ "$foreign" = no ] || slow=6
# What does not depend on the machine is looked at on ours alone: under qemu each
# command inside takes a second.
native() { [ "$foreign" = no ] && check "$@" || true; }

files() { # what is in the root, but for what a running system writes by itself
  (cd "$root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./run -o -path ./tmp -o -path ./dev -o -path ./var/log -o -path ./var/tmp \
    -o -path ./var/lib/dpkg -o -path ./var/lib/systemd -o -path ./var/cache \) -prune -o -print | sort)
}

files >"$work/before"
cp "${debs[0]}" "$root/ostatok.deb"
version=$(dpkg-deb -f "${debs[0]}" Version | tr '~' '-')

secret=/etc/ostatok/secrets/evotor.token
if [ "$foreign" = yes ]; then
  # qemu-user cannot make the mount that credentials live in.
  echo "  info  without LoadCredential, which qemu-user cannot do"
  mkdir -p "$root/etc/systemd/system/ostatok.service.d"
  printf '[Service]\nLoadCredential=\n' >"$root/etc/systemd/system/ostatok.service.d/qemu.conf"
  secret=/etc/ostatok/evotor.token
fi

check "dpkg installs the package" inside dpkg -i /ostatok.deb
rm "$root/ostatok.deb"
check "active without a configuration: it serves the setup page" await $((60 * slow)) is ActiveState active
check "enabled" inside systemctl is-enabled ostatok.service

# A secret that only root can read, and a cloud that cannot be reached.
give() {
  printf '3f0c7a52-9a5e-4a3c-b7d1-6a1f0e5f2d11\n' >"$root$secret"
  chmod 600 "$root$secret"
  if [ "$foreign" = yes ]; then inside chown ostatok "$secret"; fi
}
give
cat >"$root/etc/ostatok/ostatok.toml" <<C
store = "20170222-D58C-40E0-8051-B53ADFF38860"
[evotor]
url = "http://127.0.0.1:9"
token_file = "$secret"
C
check "install is repeatable" inside ostatok install --force
check "active with a configuration, without a network" await $((60 * slow)) is ActiveState active
pid=$(property MainPID)
check "runs as ostatok" test "$(inside stat -c %U "/proc/$pid")" = ostatok
if [ "$foreign" = no ]; then
  check "the launcher became the packaged version" test \
    "$(inside readlink "/proc/$pid/exe")" = "/var/lib/ostatok/program/versions/$version/ostatok"
fi
native "its files are its own" test "$(inside stat -c '%a %U:%G' /var/lib/ostatok)" = "700 ostatok:ostatok"
native "no file of root in its directory" test -z "$(inside find /var/lib/ostatok -user root)"
check "status comes from the service" bash -c "$(declare -f inside); leader=$leader; inside ostatok status | grep 'runs as process $pid'"
native "root leaves nothing of its own behind" bash -c "$(declare -f inside); leader=$leader; inside systemctl stop ostatok && inside ostatok stock && [ -z \"\$(inside find /var/lib/ostatok -user root)\" ] && inside systemctl start ostatok"

inside systemd-analyze security --no-pager ostatok.service >"$work/security" 2>&1 || true
echo "  info  $(tail -n 1 "$work/security")"
score=$(sed -n 's/.*: \([0-9.]*\) .*/\1/p' "$work/security" | tail -n 1)
check "exposure at most 2.5" awk "BEGIN {exit !(${score:-9} <= 2.5)}"

# For the hung process below its patience is shortened, not its cause. The restart
# after SIGKILL begins with it.
mkdir -p "$root/etc/systemd/system/ostatok.service.d"
printf '[Service]\nWatchdogSec=%ds\nTimeoutAbortSec=2s\n' $((4 * slow)) >"$root/etc/systemd/system/ostatok.service.d/test.conf"
inside systemctl daemon-reload
pid=$(property MainPID) restarts=$(property NRestarts)
inside sh -c "kill -KILL $pid"
check "started again after SIGKILL" await $((60 * slow)) another "$pid"
check "and counted" test "$(property NRestarts)" = $((restarts + 1))

pid=$(property MainPID)
sleep $((6 * slow))
check "signs of life keep it alive for longer than its patience" is MainPID "$pid"
inside sh -c "kill -STOP $pid"
check "ended and started again when it hangs (SIGSTOP)" await $((90 * slow)) another "$pid"
check "by the watchdog" inside sh -c 'journalctl -u ostatok --no-pager -o cat | grep -q "Watchdog timeout"'
rm "$root/etc/systemd/system/ostatok.service.d/test.conf"
inside systemctl daemon-reload

began=$SECONDS
check "stops" inside ostatok stop
check "within its time limit of 20 s" test $((SECONDS - began)) -le 20
check "and in order" is Result success
inside ostatok start

halt
check "boots again" boot
check "active after the boot" await $((60 * slow)) is ActiveState active
if [ "$foreign" = no ]; then
  # Without its directory systemd would not even try; without the secret the agent
  # says so, ends, and is started until it is there.
  rm -rf "$root/etc/ostatok/secrets" "$root$secret"
  inside systemctl restart ostatok 2>/dev/null || true
  check "the directory of secrets is made again" test "$(inside stat -c %a /etc/ostatok/secrets)" = 700
  check "install gives it back to root" bash -c "$(declare -f inside); leader=$leader; inside ostatok install --force --no-start; [ \"\$(inside stat -c %U /etc/ostatok/secrets)\" = root ]"
  give
  check "comes back with the secret" await $((60 * slow)) is ActiveState active
fi

check "dpkg removes the package" inside dpkg -r ostatok
check "no process is left" inside sh -c '! stat -c %U /proc/[0-9]* | grep -q "^ostatok"'
files >"$work/after"
left=$(comm -13 "$work/before" "$work/after" | grep -vE '^\./(var/lib/ostatok|etc/ostatok|etc/systemd/system/ostatok.service.d)(/|$)|^\./etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$' || true)
check "nothing but data and configuration is left" test -z "$left" || true
[ -z "$left" ] || echo "$left"
check "the data is left" test -e "$root/var/lib/ostatok/journal.db"
check "dpkg purges it" inside dpkg -P ostatok
check "then nothing is left" test ! -e "$root/var/lib/ostatok" -a ! -e "$root/etc/ostatok"
check "the user neither" bash -c "! grep -q ostatok '$root/etc/passwd'"
halt

[ $failed = 0 ] || { echo "test-system $arch: FAILED" >&2; exit 1; }
echo "test-system $arch: fine"
