#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The builds beside the usual one: without a warning in gcc and in clang, and the minimal
# configuration of libc and elfutils, which must still run. Clang's warnings do not depend on
# optimisation, gcc's do. Where the usual build is gcc's and takes warnings for errors, it is that.
# timeout: 900
. "$SRC/tests/cli/tap.sh"

build() { # NAME TARGET CMAKE_ARGUMENT...
    local folder="$BUILD/strict-$1" target=$2
    shift 2
    cmake -G Ninja -S "$SRC" -B "$folder" --log-level=WARNING "$@" &&
        ninja --quiet -C "$folder" "$target"
}

# Whether the build that is tested is one of gcc's that stops at a warning, and up to date.
is_strict() {
    grep -qs '^EBB_WERROR:BOOL=ON$' "$BUILD/CMakeCache.txt" &&
        grep -qs '^set(CMAKE_C_COMPILER_ID "GNU")$' "$BUILD"/CMakeFiles/*/CMakeCCompiler.cmake &&
        ninja -C "$BUILD" -n | grep -q 'no work to do'
}

strict() { # COMPILER CMAKE_ARGUMENT...
    local compiler=$1
    shift
    build "$compiler" all "-DCMAKE_C_COMPILER=$compiler" -DEBB_WERROR=ON -DEBB_TESTS=AUTO "$@"
}

strict_gcc() {
    is_strict || strict gcc
}

strict_clang() {
    strict clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0
}

with_compiler() { # NAME
    if command -v "$1" >/dev/null; then
        succeeds "$1 builds without a warning" "strict_$1"
    else
        skip "$1 builds without a warning" "no $1"
    fi
}

minimal() {
    build minimal ebb -DEBB_WITH_JSON=OFF -DEBB_WITH_SECCOMP=OFF \
        -DEBB_WITH_SQLITE=OFF -DEBB_WITH_HTTP=OFF -DEBB_WITH_NCURSES=OFF -DEBB_WITH_LIB=OFF \
        -DEBB_TESTS=OFF -DEBB_WERROR=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 ||
        return 1
    # What is optional must be gone.
    if ldd "$BUILD/strict-minimal/ebb" | grep -E 'jansson|seccomp|sqlite|microhttpd|ncurses'; then
        return 1
    fi
    "$BUILD/strict-minimal/ebb" --version && "$BUILD/strict-minimal/ebb" explain $$ &&
        "$BUILD/strict-minimal/ebb" run --madv-free=off true || return 1
    # What is gone is not unknown.
    "$BUILD/strict-minimal/ebb" record 2>&1 | grep -q 'without SQLite'
}

with_compiler gcc
with_compiler clang
succeeds "the minimal configuration builds and explains a process" minimal
done_testing
