#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The account is pure as the linker sees it: beyond the model's own layers it calls nothing but
# memory, text, sorting and arithmetic of libc.
set -u
echo 1..1
libraries="$BUILD/tool/libebb_account.a $BUILD/tool/libebb_base.a"
pure='^(_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__[a-z]+_chk|__errno_location|__assert_fail|'
pure="$pure"'__ctype_b_loc|mem[a-z]+|str[a-z]+|v?snprintf|qsort|bsearch|malloc|calloc|realloc|'
pure="$pure"'reallocarray|free|abort|l?l?abs|sqrt|fabs|floor|ceil|l?l?round|pow|log|exp|fm(in|ax)|'
pure="$pure"'isnan|__isoc23_strto[a-z]+)$'
# shellcheck disable=SC2086 # libraries are words
nm --defined-only $libraries | awk 'NF == 3 { print $3 }' | sort -u >"$TMPDIR/own"
nm --undefined-only "$BUILD/tool/libebb_account.a" | awk '$1 == "U" { print $2 }' | sort -u |
    grep -vxF -f "$TMPDIR/own" | grep -vE "$pure" >"$TMPDIR/foreign"
if [ ! -s "$TMPDIR/own" ] || [ -s "$TMPDIR/foreign" ]; then
    echo "not ok 1 - tool/account calls nothing that reads, writes or waits"
    sed 's/^/# /' "$TMPDIR/foreign"
    exit 1
fi
echo "ok 1 - tool/account calls nothing that reads, writes or waits"
