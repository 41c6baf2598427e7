#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The builds beside the usual one: without a warning in gcc and in clang, and the minimal
# configuration of libc and elfutils, which must still run. Clang's warnings hardly depend on
# optimisation, gcc's do.
# timeout: 900
set -u
number=0

build() { # NAME CMAKE_ARGUMENT...
    local folder="$BUILD/strict-$1"
    shift
    cmake -G Ninja -S "$SRC" -B "$folder" --log-level=WARNING "$@" &&
        ninja --quiet -C "$folder"
}

check() { # DESCRIPTION COMMAND...
    local description=$1
    shift
    number=$((number + 1))
    if "$@" >"$TMPDIR/log" 2>&1; then
        echo "ok $number - $description"
    else
        echo "not ok $number - $description"
        sed 's/^/# /' "$TMPDIR/log"
    fi
}

with_compiler() { # NAME CMAKE_ARGUMENT...
    local compiler=$1
    shift
    if command -v "$compiler" >/dev/null; then
        check "$compiler builds without a warning" build "$compiler" \
            "-DCMAKE_C_COMPILER=$compiler" -DEBB_WERROR=ON -DEBB_TESTS=AUTO "$@"
    else
        number=$((number + 1))
        echo "ok $number - $compiler builds without a warning # SKIP no $compiler"
    fi
}

minimal() {
    build minimal -DEBB_WITH_JSON=OFF -DEBB_WITH_SECCOMP=OFF \
        -DEBB_WITH_SQLITE=OFF -DEBB_WITH_HTTP=OFF -DEBB_WITH_NCURSES=OFF -DEBB_TESTS=OFF \
        -DEBB_WERROR=ON || return 1
    # What is optional must be gone.
    if ldd "$BUILD/strict-minimal/ebb" | grep -E 'jansson|seccomp|sqlite|microhttpd|ncurses'; then
        return 1
    fi
    "$BUILD/strict-minimal/ebb" --version && "$BUILD/strict-minimal/ebb" explain $$ &&
        "$BUILD/strict-minimal/ebb" run --madv-free=off true
}

with_compiler gcc
with_compiler clang -DCMAKE_C_FLAGS_RELEASE='-O1 -DNDEBUG'
check "the minimal configuration builds and explains a process" minimal
echo "1..$number"
