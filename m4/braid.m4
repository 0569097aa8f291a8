# SPDX-License-Identifier: MIT

# BRAID_CFLAG(FLAG): adds FLAG to BRAID_CFLAGS when the compiler takes it without a warning.
AC_DEFUN([BRAID_CFLAG], [
    BRAID_TRY_FLAG([CFLAGS], [$1], [BRAID_CFLAGS="$BRAID_CFLAGS $1"])
    AC_SUBST([BRAID_CFLAGS])
])

# BRAID_NEED_CFLAG(FLAG): the same, but there is no building without it.
AC_DEFUN([BRAID_NEED_CFLAG], [
    BRAID_TRY_FLAG([CFLAGS], [$1], [BRAID_CFLAGS="$BRAID_CFLAGS $1"],
        [AC_MSG_ERROR([$CC does not know $1, which was asked for; try CC=clang])])
    AC_SUBST([BRAID_CFLAGS])
])

# BRAID_LDFLAG(FLAG): adds FLAG to BRAID_LDFLAGS when programs link with it.
AC_DEFUN([BRAID_LDFLAG], [
    BRAID_TRY_FLAG([LDFLAGS], [$1], [BRAID_LDFLAGS="$BRAID_LDFLAGS $1"])
    AC_SUBST([BRAID_LDFLAGS])
])

# BRAID_TRY_FLAG(VARIABLE, FLAG, IF-TAKEN, IF-NOT)
AC_DEFUN([BRAID_TRY_FLAG], [
    AC_MSG_CHECKING([whether $CC takes $2])
    braid_saved_$1=$$1
    $1="$$1 -Werror $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([])], [braid_taken=yes], [braid_taken=no])
    $1=$braid_saved_$1
    AC_MSG_RESULT([$braid_taken])
    AS_IF([test "$braid_taken" = yes], [$3], [$4])
])
