#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench/ without its programs: each says how to build them, and no trace of Python.
. "$SRC/tests/cli/tap.sh"

# Benches take their programs from the build, which here is not there.
for bench in filter reclaim watch sampler history/report programs/run; do
    run env BUILD="$TMPDIR/nowhere" EBB=/bin/true "$SRC/bench/$bench"
    check "bench/$bench says what is missing, and how to build it" \
        eval 'ended_with 1 && is_quiet out && ! says err Traceback &&
              says err "there is no $TMPDIR/nowhere/" && says err "bench_programs"'
done
done_testing
