#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb reclaim: usage, and what it says where there is nothing to do or nobody to do it to. What it
# does is in tests/e2e/reclaim*.t.
. "$SRC/tests/cli/tap.sh"

refuses 2 "which process?" reclaim
refuses 2 "one TARGET at a time" reclaim 1 2
refuses 2 "either a TARGET or --cgroup" reclaim --cgroup /x 1
refuses 2 "give --cgroup too" reclaim --kernel 1
refuses 2 "does not go with --runtime" reclaim --kernel --runtime --cgroup /x
refuses 2 "--bite goes from 256KiB to 256MiB" reclaim --bite 4KiB 1
refuses 2 "--bite goes from 256KiB to 256MiB" reclaim --bite 1GiB 1
refuses 2 "" reclaim --nonsense 1
refuses 2 "" reclaim --bite huge 1
refuses 3 "no process 4194303" reclaim 4194303
refuses 3 "" reclaim no-such-process-anywhere
refuses 1 "there is no group" reclaim --cgroup /no/such/group
refuses 1 "there is no group" reclaim --cgroup relative
refuses 1 "there is no group" reclaim --cgroup /no/such/group --kernel
# Longer than any path that there is.
long=/$(printf 'n%.0s' {1..5000})
run "$EBB" reclaim --cgroup "$long"
check "a group whose path is too long" answered 1 err "there is no group"
refuses 2 "" reclaim --proc-root /elsewhere 1

run "$EBB" reclaim --dry-run $$
if [ "$(id -u)" -eq 0 ]; then
    check "--dry-run of a shell, which frees nothing lazily" answered 0 out "nothing to do"
else
    check "--dry-run without rights says so" says out "What would help"
fi

run "$EBB" help reclaim
check "help names the options" eval 'says out --runtime && says out --cgroup && says out --bite'
done_testing
