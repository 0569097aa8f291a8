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

# accepts FILE: with a word on standard output, and none on standard error
accepts() {
    local said
    said=$("$braidd" -t -c "$1" 2>&1) || { printf '%s\n' "$said"; return 1; }
    [ "$said" = "$1: ok" ] || { printf '%s\n' "$said"; return 1; }
}

# The two ends need each other's address changed, and nothing else, to be of use on two machines.
between_machines() {
    local dir
    dir=$(mktemp -d)
    sed -e 's/^remote = .*/remote = vpn.example.net:7000/' -e 's/^;insecure = .*/insecure = yes/' \
        "$top_srcdir/conf/braidd-local.ini" >"$dir/local.ini"
    sed -e 's/^listen = .*/listen = 0.0.0.0:7000/' -e 's/^;insecure = .*/insecure = yes/' \
        "$top_srcdir/conf/braidd-remote.ini" >"$dir/remote.ini"
    accepts "$dir/local.ini" && accepts "$dir/remote.ini" && ! refused "$dir"
    local result=$?
    rm -r "$dir"
    return "$result"
}

# refused DIR: without `insecure` they are, so that this test can fail
refused() {
    sed -i '/^insecure/d' "$1/local.ini" "$1/remote.ini"
    "$braidd" -t -c "$1/local.ini" 2>/dev/null || "$braidd" -t -c "$1/remote.ini" 2>/dev/null
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
    check "${file##*/} is accepted" accepts "$file"
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
