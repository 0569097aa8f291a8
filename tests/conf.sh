#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The examples and the man pages, as they are shipped: braidd accepts the former, mandoc finds nothing
# wrong with the latter. What they say about each key is tests/unit/test_docs.c's.
set -euo pipefail

: "${top_srcdir:?is set by make check}" "${top_builddir:?is set by make check}"
braidd=$top_builddir/daemon/braidd

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

dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
"$top_builddir/cli/braid" keygen >"$dir/web.key"

# with_key FILE: a copy of an example that goes by a key that is there
with_key() {
    sed "s|^key = .*|key = $dir/web.key|" "$1" >"$dir/${1##*/}"
    printf '%s\n' "$dir/${1##*/}"
}

# accepts FILE: with a word on standard output, and none on standard error
accepts() {
    local said
    said=$("$braidd" -t -c "$1" 2>&1) || { printf '%s\n' "$said"; return 1; }
    [ "$said" = "$1: ok" ] || { printf '%s\n' "$said"; return 1; }
}

# The two ends need each other's address changed, and nothing else, to be of use on two machines.
between_machines() {
    sed -i 's/^remote = .*/remote = vpn.example.net:7000/' "$(with_key "$top_srcdir/conf/braidd-local.ini")"
    sed -i 's/^listen = .*/listen = 0.0.0.0:7000/' "$(with_key "$top_srcdir/conf/braidd-remote.ini")"
    accepts "$dir/braidd-local.ini" && accepts "$dir/braidd-remote.ini" && ! refused
}

# refused: in clear they are not accepted, so that this test can fail
refused() {
    sed -i 's/^key = .*/security = none/' "$dir/braidd-local.ini" "$dir/braidd-remote.ini"
    "$braidd" -t -c "$dir/braidd-local.ini" 2>/dev/null || "$braidd" -t -c "$dir/braidd-remote.ini" 2>/dev/null
}

lint() { # FILE: not a warning, but what it does not know of this machine
    local said
    said=$(mandoc -T lint -W warning "$1" 2>/dev/null || true)
    [ -z "$said" ] || { printf '%s\n' "$said"; return 1; }
}

planted_mistake() {
    local file result=0
    file=$(mktemp)
    printf '.Dd August 1, 2026\n.Dt X 1\n.Os\n.Sh NAME\n.Nm x\n.Nd y\n.Bl -tag\n.It\n' >"$file"
    ! lint "$file" >/dev/null || result=1
    rm "$file"
    return "$result"
}

for file in "$top_srcdir"/conf/*.ini; do
    check "${file##*/} is accepted" accepts "$(with_key "$file")"
done
check "both are, with the addresses of two machines" between_machines
if command -v mandoc >/dev/null; then
    check "a mistake in a man page is found" planted_mistake
    for file in "$top_srcdir"/doc/*.[1-9]; do
        check "${file##*/} has no mistakes" lint "$file"
    done
else
    echo "# skipped: there is no mandoc here to look at the man pages"
fi
echo "1..$tests"
exit $failed
