#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Holds the layers apart (doc/architecture.md): no source includes upwards, and the core's archive
# needs nothing from outside but a few functions of libc.
#
# The archive is looked at when top_builddir is set, as make check does. First of all a tree with one
# violation of each kind is made up, and each has to be found.
set -euo pipefail

top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}

# ---- includes ---------------------------------------------------------------------------------
# What the core may have of libc: nothing that touches the system, or asks for the time.
core_headers=' assert.h inttypes.h limits.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h
 stdlib.h stdnoreturn.h string.h strings.h sys/types.h sys/uio.h endian.h '
core_headers=${core_headers//$'\n'/}

# resolve ROOT FILE NAME STYLE: the project's file that an include means, or <NAME> outside of it
resolve() {
    local root=$1 file=$2 name=$3 style=$4 dir
    local -a dirs=(lib/include lib .)
    [ "$style" = '"' ] && dirs=("${file%/*}" "${dirs[@]}")
    for dir in "${dirs[@]}"; do
        if [ -f "$root/$dir/$name" ]; then
            realpath -ms --relative-to="$root" "$root/$dir/$name"
            return
        fi
    done
    echo "<$name>"
}

# allowed FILE TARGET: whether the layers let FILE include TARGET, as resolve has it
allowed() {
    local file=$1 target=$2 name
    name=${target#<}
    name=${name%>}
    case $target in
    '<ini.h>') [[ $file == daemon/config*.c ]] && return 0 || return 1 ;;
    '<systemd/'*) [[ $file == daemon/*.c ]] && return 0 || return 1 ;;
    '<openssl/'*) [[ $file == lib/event/* ]] && return 0 || return 1 ;;
    '<event2/'*) [[ $file == lib/event/* || $file == daemon/* || $file == cli/* ]] && return 0 || return 1 ;;
    '<event.h>' | '<ev'*'.h>') return 1 ;; # libevent 1's interface
    esac
    case $file in
    lib/core/*)
        case $target in
        lib/core/* | lib/include/braid/error.h) ;;
        '<'*) [[ $core_headers == *" $name "* ]] ;;
        *) return 1 ;;
        esac
        ;;
    lib/include/*) [[ $target == lib/include/braid/* || $target == '<'* ]] ;;
    lib/event/*) [[ $target == lib/* || $target == '<'* ]] ;;
    daemon/*) [[ $target == daemon/* || $target == lib/include/braid/* || $target == '<'* ]] ;;
    cli/*) [[ $target == cli/* || $target == lib/include/braid/* || $target == '<'* ]] ;;
    esac
}

# check_includes ROOT: prints each include that points upwards; fails when there is one
check_includes() {
    local root=$1 file line name style target number bad=0
    while IFS=: read -r file number line; do
        [[ $line =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*([\<\"])([^\>\"]+)[\>\"] ]] || {
            echo "$file:$number: an include that cannot be read: $line"
            bad=1
            continue
        }
        style=${BASH_REMATCH[1]}
        name=${BASH_REMATCH[2]}
        target=$(resolve "$root" "$file" "$name" "$style")
        allowed "$file" "$target" || {
            echo "$file:$number: must not include $target"
            bad=1
        }
    done < <(cd "$root" && grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.[ch]' \
        lib/core lib/event lib/include daemon cli)
    return "$bad"
}

# ---- symbols ----------------------------------------------------------------------------------
# The last line is what the compiler and its sanitizers put in on their own.
symbols='^(memcpy|memmove|memset|memcmp|bcmp|strlen|malloc|calloc|realloc|free|abort'
symbols+='|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__[a-z]+_chk|__(u?div|u?mod|mul)[a-z]?ti[34]'
symbols+='|__(asan|ubsan|lsan|sanitizer|sancov|start___sancov|stop___sancov)_.*|__gcov_.*)$'

# check_symbols ARCHIVE: prints each symbol that it needs and must not; fails when there is one
check_symbols() {
    local archive=$1 bad symbol
    [ -s "$archive" ] || { echo "$archive is missing"; return 1; }
    bad=$(comm -23 <(nm -u "$archive" | awk 'NF == 2 && $1 ~ /^[Uwv]$/ { print $2 }' | sort -u) \
        <(nm --defined-only -g "$archive" | awk 'NF == 3 { print $3 }' | sort -u) |
        grep -vE "$symbols" || true)
    [ -z "$bad" ] && return 0
    for symbol in $bad; do
        echo "$archive: must not need $symbol, but does:" \
            "$(nm -uA "$archive" | awk -v s="$symbol" '$NF == s { split($1, a, ":"); print a[2] }' | xargs)"
    done
    return 1
}

# ---- the check of the checks ------------------------------------------------------------------
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# planted: a tree in which every file but the first few breaks one rule
plant() {
    local root=$scratch/tree
    mkdir -p "$root"/{lib/core,lib/event,lib/include/braid,daemon,cli}
    put() { printf '%s\n' "${@:2}" >"$root/$1"; }
    put lib/core/wire.h ''
    put lib/event/sockopt.h ''
    put lib/include/braid/stream.h ''
    put lib/include/braid/error.h ''
    put daemon/config.h ''
    put lib/core/good.c '#include "wire.h"' '#include <core/wire.h>' '#include <stdint.h>' '#include <braid/error.h>'
    put lib/event/good.c '#include "core/wire.h"' '#include <sys/socket.h>' '#include <event2/event.h>'
    put daemon/config_ini.c '#include "config.h"' '#include <ini.h>' '#include <braid/stream.h>'
    put cli/good.c '#include <stdio.h>' '#include <braid/stream.h>'

    put lib/core/bad1.c '#include <sys/socket.h>'
    put lib/core/bad2.c '#include "../event/sockopt.h"'
    put lib/core/bad3.h '#  include <time.h>'
    put lib/core/bad4.c '#include <braid/stream.h>'
    put lib/core/bad5.c '#include <event2/event.h>'
    put lib/event/bad1.c '#include "daemon/config.h"'
    put lib/event/bad2.c '#include <ini.h>'
    put lib/include/braid/bad1.h '#include <core/wire.h>'
    put daemon/bad1.c '#include "core/wire.h"'
    put daemon/bad2.c '#include <ini.h>'
    put daemon/bad3.c '#include <event/sockopt.h>'
    put cli/bad1.c '#include "../daemon/config.h"'
    put cli/bad2.c '#include HEADER'
}

self_test() {
    local file said
    plant
    said=$(check_includes "$scratch/tree") && { echo "self-test: no violation was found"; return 1; }
    while read -r file; do
        grep -q "^$file:" <<<"$said" || { echo "self-test: $file was not found"; return 1; }
    done < <(cd "$scratch/tree" && find . -name 'bad*' -printf '%P\n')
    if grep -vE '/bad[0-9]' <<<"$said"; then
        echo "self-test: these are allowed"
        return 1
    fi
}

# self_test_symbols: an archive that reads the clock, and one that only copies
self_test_symbols() {
    local cc=${CC:-cc}
    echo 'long time(long *); void *memcpy(void *, const void *, unsigned long);
          void other(void);
          long now(void *a, void *b, unsigned long n) { other(); memcpy(a, b, n); return time(0); }' \
        >"$scratch/clock.c"
    echo 'void *memcpy(void *, const void *, unsigned long); void other(void); void other(void) { }
          void *copy(void *a, void *b, unsigned long n) { return memcpy(a, b, n); }' >"$scratch/copy.c"
    (cd "$scratch" && $cc -c -fno-builtin clock.c copy.c && ar cr bad.a clock.o copy.o && ar cr good.a copy.o)
    check_symbols "$scratch/good.a" || { echo "self-test: copying is allowed"; return 1; }
    local said
    said=$(check_symbols "$scratch/bad.a") && { echo "self-test: the clock was not found"; return 1; }
    if [ "$(wc -l <<<"$said")" != 1 ] || [[ $said != *'need time'* ]]; then
        echo "self-test: this is not the clock: $said"
        return 1
    fi
}

# ---- main -------------------------------------------------------------------------------------
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
check "planted includes are found" self_test
check "no source includes upwards" check_includes "$top_srcdir"
if [ -n "${top_builddir:-}" ]; then
    archive=$top_builddir/lib/core/.libs/libbraidcore.a
    [ -f "$archive" ] || archive=$top_builddir/lib/core/libbraidcore.a
    check "planted symbols are found" self_test_symbols
    check "the core needs nothing but a little of libc" check_symbols "$archive"
else
    echo "left out: the core's archive, since top_builddir is not set"
fi
echo "1..$tests"
exit $failed
