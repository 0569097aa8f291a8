#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The units, as `make install` leaves them: systemd-analyze finds nothing to say about them, and its
# security exposure is at most 1.5.
set -euo pipefail

: "${top_builddir:?is set by make check}"
limit=1.5

if ! command -v systemd-analyze >/dev/null; then
    echo "skipped: there is no systemd-analyze here"
    exit 77
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
units=/usr/lib/systemd/system

# The whole of it, since verify looks for the binary, too; the units where systemd-analyze looks.
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s -C "$top_builddir" install DESTDIR="$root" systemdsystemunitdir="$units" \
    >"$root/install.log" 2>&1 || {
    cat "$root/install.log"
    exit 1
}
# What our units refer to: the distribution's own targets, and kill(1) of ExecReload.
for dir in /usr/lib/systemd/system /lib/systemd/system; do
    [ -e "$dir/sysinit.target" ] || continue
    cp -a "$dir"/*.target "$dir"/*.slice "$dir"/tmp.mount "$root$units/" 2>/dev/null || true
    break
done
mkdir -p "$root/bin"
cp /bin/kill "$root/bin/kill"

failed=0
tests=0
check() { # NAME COMMAND...: one test, in TAP
    tests=$((tests + 1))
    if "${@:2}"; then
        echo "ok $tests - $1"
    else
        echo "not ok $tests - $1"
        failed=1
    fi
}

# verify NAME: exit status 0 and not a word
verify() {
    local said
    said=$(systemd-analyze verify --root="$root" --man=no --recursive-errors=one "$units/$1" 2>&1) ||
        { printf '%s\n' "$said"; return 1; }
    [ -z "$said" ] || { printf '%s\n' "$said"; return 1; }
}

# exposure NAME: the figure of systemd-analyze security, at most the limit
exposure() {
    local said figure
    said=$(SYSTEMD_COLORS=0 systemd-analyze security --offline=yes --no-pager --root="$root" "$1" 2>&1) ||
        { printf '%s\n' "$said"; return 1; }
    figure=$(sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p' <<<"$said")
    echo "$1: exposure ${figure:-unknown}"
    [ -n "$figure" ] && awk -v f="$figure" -v l="$limit" 'BEGIN { exit !(f <= l) }'
}

# The checks themselves must be able to fail.
sed -e 's|^ExecStart=.*|ExecStart=/nowhere/braidd|' -e '/^Protect/d; /^Restrict/d; /^System/d' \
    "$root$units/braidd.service" >"$root$units/planted.service"
planted_verify() { ! verify planted.service >/dev/null; }
planted_exposure() { ! exposure planted.service >/dev/null; }

check "a broken unit is found" planted_verify
check "an open unit is found" planted_exposure
rm "$root$units/planted.service"
check "braidd.service is clean" verify braidd.service
check "braidd@.service is clean" verify braidd@one.service
check "braidd.socket is clean" verify braidd.socket
check "braidd.service is closed up" exposure braidd.service
check "braidd@.service is closed up" exposure braidd@one.service
echo "1..$tests"
exit $failed
