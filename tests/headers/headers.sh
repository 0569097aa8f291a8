#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every public header compiles alone, and twice, without a warning: as strict C11 and as C++17.
set -euo pipefail

: "${top_srcdir:?is set by make check}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cc=${CC:-cc}
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror)

# as_c DIR HEADER, as_cxx DIR HEADER: whether <braid/HEADER> of DIR compiles
as_c() {
    printf '#include <braid/%s>\n#include <braid/%s>\nint nothing_else;\n' "$2" "$2" >"$scratch/alone.c"
    # shellcheck disable=SC2086  # CC may hold options
    $cc -std=c11 "${warnings[@]}" -Wstrict-prototypes -I "$1" -fsyntax-only "$scratch/alone.c"
}
as_cxx() {
    printf '#include <braid/%s>\n#include <braid/%s>\nint nothing_else;\n' "$2" "$2" >"$scratch/alone.cc"
    # shellcheck disable=SC2086
    $CXX -std=c++17 "${warnings[@]}" -I "$1" -fsyntax-only "$scratch/alone.cc"
}

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

# The check has to be able to fail: a type from nowhere, and a word that C++ has taken.
mkdir -p "$scratch/bad/braid"
echo 'size_t braid_bad(void);' >"$scratch/bad/braid/alone.h"
echo 'int braid_bad(int class);' >"$scratch/bad/braid/word.h"
planted_c() { ! as_c "$scratch/bad" alone.h 2>/dev/null; }
planted_cxx() { ! as_cxx "$scratch/bad" word.h 2>/dev/null; }
check "a header that cannot stand alone is found" planted_c
[ -z "${CXX:-}" ] || check "a header that is no C++ is found" planted_cxx

for path in "$top_srcdir"/lib/include/braid/*.h; do
    header=${path##*/}
    check "<braid/$header> as C11" as_c "$top_srcdir/lib/include" "$header"
    [ -z "${CXX:-}" ] || check "<braid/$header> as C++17" as_cxx "$top_srcdir/lib/include" "$header"
done
[ -n "${CXX:-}" ] || echo "left out: C++, since there is no compiler for it"
echo "1..$tests"
exit $failed
