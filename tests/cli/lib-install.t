#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `make install` installs of libebb: a program is built and linked with it by pkg-config alone,
# and the installed ebb finds it.
. "$SRC/tests/cli/tap.sh"

if [ ! -e "$BUILD/libebb.so" ]; then
    echo "1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)"
    exit 0
fi
if [ ! -e "$BUILD/docs/man/stamp" ]; then
    echo "1..0 # SKIP the man pages, which are installed too, are not built"
    exit 0
fi
prefix=$TMPDIR/prefix
# lib, lib64 or the machine's own folder: as this system has it.
is_in_lib() { [ -n "$(find "$prefix" -path "*/lib*/$1")" ]; }
run cmake --install "$BUILD" --prefix "$prefix"
check 'cmake --install' ended_with 0
for file in libebb.so libebb.a pkgconfig/libebb.pc; do
    check "lib/$file" is_in_lib "$file"
done
check 'share/doc/ebb/account.md' test -e "$prefix/share/doc/ebb/account.md"
check 'include/ebb/ebb.h' test -e "$prefix/include/ebb/ebb.h"

pc=$(dirname "$(find "$prefix" -name libebb.pc)")
if command -v pkg-config cc >/dev/null; then
    cat >"$TMPDIR/user.c" <<'END'
#include <ebb/ebb.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    struct ebb_stats stats;
    void *block = malloc(100000);
    int error = ebb_get_stats(&stats, sizeof stats);
    printf("%s %d %d\n", ebb_version(), error, block && stats.heap_alloc >= 100000);
    free(block);
    return 0;
}
END
    # shellcheck disable=SC2046 # words
    run cc -o "$TMPDIR/user" "$TMPDIR/user.c" \
        $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs libebb)
    check 'a program is linked with what pkg-config says' ended_with 0
    run env LD_LIBRARY_PATH="${pc%/pkgconfig}" "$TMPDIR/user"
    version=$(PKG_CONFIG_PATH=$pc pkg-config --modversion libebb)
    check 'and runs on it' answered 0 out "$version 0 1"
    # shellcheck disable=SC2046
    run cc -static -o "$TMPDIR/user" "$TMPDIR/user.c" \
        $(PKG_CONFIG_PATH=$pc pkg-config --static --cflags --libs libebb)
    if [ "$status" -eq 0 ]; then
        run "$TMPDIR/user"
        check 'so does a static one' answered 0 out "$version 0 1"
    else
        skip 'so does a static one' 'no static libc'
    fi
else
    skip 'a program is linked with what pkg-config says' 'no pkg-config, or no C compiler'
fi
run "$prefix/bin/ebb" run --malloc=ebb grep -m1 -o "$prefix/.*libebb.so" /proc/self/maps
check 'the installed ebb finds the installed libebb' answered 0 out "${pc%/pkgconfig}/libebb.so"

done_testing
