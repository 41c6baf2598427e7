#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What ebb says about the trees of tests/fixtures, word for word. After a change that is meant,
# `EBB=build/ebb tests/cli/golden.t --update` writes the new output: look at the difference.
# needs: EBB_WITH_JSON EBB_WITH_SQLITE EBB_WITH_HTTP
if [ "${1:-}" = --update ]; then
    SRC=$(cd "$(dirname "$0")/../.." && pwd)
    TMPDIR=$(mktemp -d)
    export SRC TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
    update=1
fi
. "$SRC/tests/cli/tap.sh"
golden=$SRC/tests/cli/golden

# The same whatever terminal, locale and user.
ebb() { env -u NO_COLOR -u COLUMNS LC_ALL=C.UTF-8 TZ=UTC "$EBB" "$@"; }

# case_of NAME ARGUMENT...: everything that the command says and how it ends. Paths are the tree's.
case_of() {
    local name=$1
    shift
    run ebb "$@"
    {
        echo "\$ ebb $*"
        cat "$TMPDIR/out"
        [ -s "$TMPDIR/err" ] && sed 's/^/! /' "$TMPDIR/err"
        echo "status $status"
    } | sed "s|$fixtures/||g" >"$TMPDIR/said"
    if [ -n "${update:-}" ]; then cp "$TMPDIR/said" "$golden/$name.txt"; fi
    if diff -u "$golden/$name.txt" "$TMPDIR/said" >"$TMPDIR/diff" 2>&1; then
        verdict ok "$name"
    else
        # The difference says all; what was said is in it.
        cp "$TMPDIR/diff" "$TMPDIR/out"
        verdict bad "$name"
    fi
}

# explained TREE PID: the account of one process of a fixture, as text and as JSON.
explained() {
    local tree=$1 pid=$2
    case_of "explain-$tree-$pid" explain --proc-root "$fixtures/$tree/proc" "$pid"
    case_of "explain-$tree-$pid-json" explain --json --proc-root "$fixtures/$tree/proc" "$pid"
}

case_of help help
case_of help-explain help explain
explained linux-6.1-cgroup2 4121
explained linux-6.1-cgroup2 900
explained linux-4.18-cgroup1 2207
explained linux-4.4-cgroup1 1412
explained linux-5.10-hybrid 1
explained linux-6.18-cgroupns 7
explained hostile 31
case_of explain-bytes explain --bytes --proc-root "$fixtures/linux-6.1-cgroup2/proc" 4121
case_of explain-color explain --color=always --proc-root "$fixtures/linux-6.1-cgroup2/proc" 4121
case_of explain-exit-code explain --exit-code --proc-root "$fixtures/linux-6.1-cgroup2/proc" 4121
for tree in linux-6.1-cgroup2 hostile; do
    case_of "all-$tree" explain --all --proc-root "$fixtures/$tree/proc"
    case_of "all-$tree-json" explain --all --json --proc-root "$fixtures/$tree/proc"
done

done_testing
