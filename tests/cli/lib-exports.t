#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# libebb exports what lib/exports lists and nothing else; what it takes from libc is what a malloc
# may use: no allocation, no stdio but malloc_info's.
. "$SRC/tests/cli/tap.sh"

lib=$BUILD/libebb.so
if [ ! -e "$lib" ]; then
    echo "1..0 # SKIP this build has no libebb.so (sanitizers bring a malloc of their own)"
    exit 0
fi

names() { nm -D "$@" "$lib" | awk '{ sub(/@.*/, "", $NF); print $NF }' | LC_ALL=C sort -u; }
exports_agree() { diff <(LC_ALL=C sort "$SRC/lib/exports") <(names --defined-only); }

allowed='abort|fputs|fwrite|mem(chr|cmp|cpy|move|set)|str(cmp|len)|getenv|getauxval'
allowed="$allowed|pthread_(key_create|key_delete|setspecific|atfork)"
# The helper thread. To create it libc allocates, by the exported functions: no lock is held then.
allowed="$allowed|pthread_(create|sigmask|attr_(init|destroy|setdetachstate|setstacksize))"
# The clock, without a system call.
allowed="$allowed|sigfillset|clock_gettime"
allowed="$allowed|__register_atfork|__errno_location|__cxa_finalize|__gmon_start__|_ITM_.*"
allowed="$allowed|_ZSt15get_new_handlerv|_ZSt17__throw_bad_allocv|__tls_get_addr"
# Behind our dlopen() stands libc's.
allowed="$allowed|dlsym"
imports_are_few() { ! names --undefined-only | grep -vxE "$allowed"; }

# ld.so must find room in the static TLS block, or a program that dlopens it cannot.
tls_is_small() {
    local bytes
    bytes=$(readelf -lW "$lib" | awk '$1 == "TLS" { print $6 }')
    [ -n "$bytes" ] && [ $((bytes)) -le 64 ]
}

succeeds "the exported symbols are those of lib/exports" exports_agree
succeeds "nothing is imported that allocates or prints" imports_are_few
succeeds "thread-local storage is small" tls_is_small
succeeds "nothing asks for an executable stack" \
    bash -c '! readelf -lW "$1" | grep GNU_STACK | grep -q RWE' - "$lib"
done_testing
