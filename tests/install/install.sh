#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# libbraid as others get it: installed into a directory of its own, found through pkg-config. It
# shows what its headers declare and nothing else, our programs use nothing else of it, and the
# examples of doc/examples compile and talk to each other, against the shared library and the static.
set -euo pipefail

: "${top_srcdir:?is set by make check}" "${top_builddir:?is set by make check}"
if ! command -v pkg-config >/dev/null; then
    echo "1..0 # SKIP there is no pkg-config"
    exit 77
fi
scratch=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

read -ra cc <<<"${CC:-cc} ${SANITIZERS:-}"
warnings=(-Wall -Wextra -Wshadow -Wconversion -Werror)
"${MAKE:-make}" -s -C "$top_builddir" install DESTDIR="$scratch/root" MAKEFLAGS= >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; exit 99; }
pc=$(find "$scratch/root" -name libbraid.pc)
prefix=$(sed -n 's/^prefix=//p' "$pc")
libdir=$(dirname "$(dirname "$pc")")
include=$scratch/root$prefix/include
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$scratch/root LD_LIBRARY_PATH=$libdir

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

# declared DIR: the functions that the headers below DIR export
declared() {
    cat "$1"/braid/*.h | grep -v '^#' | tr '\n' ' ' | grep -oE 'BRAID_EXPORT [^;(]*\(' |
        grep -oE 'braid_[a-z_]+ *\($' | tr -d ' (' | sort -u
}

# shown LIBRARY: what it exports, but for what sanitizers add
shown() {
    nm -D --defined-only "$1" | awk '{ print $3 }' | grep -vE '^(__.*|_init|_fini)$' | sort -u
}

same_symbols() {
    local difference
    declared "$include" >"$scratch/declared"
    shown "$libdir/libbraid.so" >"$scratch/shown"
    [ -s "$scratch/declared" ] || { echo "# no header declares anything"; return 1; }
    difference=$(diff "$scratch/declared" "$scratch/shown") && return 0
    echo "# < is declared, > is shown"
    while read -r line; do echo "# $line"; done <<<"$difference"
    return 1
}

# public_only PROGRAM: the objects of a program need no symbol of the library's that is not declared
public_only() {
    local archive bad
    archive=$(find "$top_builddir/$1" -name 'lib*.a' -print -quit)
    [ -n "$archive" ] || { echo "# there is no archive below $1"; return 1; }
    bad=$(comm -23 \
        <(nm -u "$archive" | awk '$1 == "U" && $2 ~ /^braid_/ { print $2 }' | sort -u) \
        <(sort -u "$scratch/declared" <(nm --defined-only "$archive" | awk 'NF == 3 { print $3 }')))
    [ -z "$bad" ] && return 0
    while read -r line; do echo "# not in the headers: $line"; done <<<"$bad"
    return 1
}

versioned() {
    local soname
    soname=$(objdump -p "$libdir/libbraid.so" | awk '$1 == "SONAME" { print $2 }')
    [[ $soname =~ ^libbraid\.so\.[0-9]+$ ]] || { echo "# its name is $soname"; return 1; }
    [ -e "$libdir/$soname" ] && [ -e "$libdir/libbraid.a" ]
}

# build NAME PKG-CONFIG-OPTION...: compiles an example from outside of the tree
build() {
    local flags
    flags=$(pkg-config "${@:3}" --cflags --libs libbraid)
    # shellcheck disable=SC2086  # these are words
    (cd "$scratch" && "${cc[@]}" -std=gnu11 "${warnings[@]}" -o "$2" \
        "$top_srcdir/doc/examples/$1.c" $flags)
}
build_both() {
    build echo_server server && build echo_client client
}
build_static() { # the library's own archive, everything else as it comes
    local flags
    flags=$(pkg-config --static --libs libbraid | sed "s#-lbraid#-l:libbraid.a#")
    # shellcheck disable=SC2046,SC2086
    (cd "$scratch" && "${cc[@]}" -std=gnu11 "${warnings[@]}" -o client-static \
        "$top_srcdir/doc/examples/echo_client.c" $(pkg-config --cflags libbraid) $flags) &&
        ! objdump -p "$scratch/client-static" | grep -q 'NEEDED.*libbraid'
}

start_server() {
    "$scratch/server" 127.0.0.1:0 127.0.0.1:0 >"$scratch/addresses" &
    server=$!
    for _ in $(seq 2000); do
        [ "$(wc -l <"$scratch/addresses")" = 2 ] && return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.01
    done
    echo "# the server does not listen"
    return 1
}

# echoes CLIENT BYTES [LINES]: so many bytes go there and come back, to so many of the addresses
echoes() {
    local -a addresses
    mapfile -t addresses < <(head -n "${3:-1}" "$scratch/addresses")
    head -c "$2" /dev/urandom >"$scratch/sent"
    timeout 60 "$scratch/$1" "${addresses[@]}" <"$scratch/sent" >"$scratch/received" &&
        cmp "$scratch/sent" "$scratch/received"
}

refused() { # a client that nobody listens for ends, and says why
    local said
    said=$(timeout 60 "$scratch/client" 127.0.0.1:1 </dev/null 2>&1) && return 1
    [[ $said == echo_client:* ]]
}

short() { [ "$(wc -l <"$top_srcdir/doc/examples/$1.c")" -lt 80 ]; }

check "the shared library shows what the headers declare" same_symbols
check "its name has a version, and there is a static one" versioned
check "braidd uses the public interface only" public_only daemon
check "braid uses the public interface only" public_only cli
check "the echo server is under 80 lines" short echo_server
check "the echo client is under 80 lines" short echo_client
check "the examples compile" build_both
check "the client compiles with the static library" build_static
check "the echo server listens on two addresses" start_server
if [ -s "$scratch/addresses" ]; then
    check "nothing is echoed" echoes client 0
    check "one byte is echoed" echoes client 1
    check "5,000,001 bytes are echoed" echoes client 5000001
    check "20,000,000 bytes are echoed over two addresses" echoes client 20000000 2
    check "the static client's are" echoes client-static 100000
    check "a client without a server says so" refused
fi
echo "1..$tests"
exit $failed
