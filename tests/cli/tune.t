#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb tune: command lines that are wrong, a process without anything to tune, and one that ended.
. "$SRC/tests/cli/tap.sh"

refuses 2 'which process?' tune
refuses 2 'one TARGET at a time' tune 1 2
refuses 2 '--madv-free takes on|off' tune --madv-free=maybe 1
refuses 2 '--gogc wants a percentage or off' tune --gogc=many 1
refuses 2 '--gogc wants a percentage or off' tune --gogc=-1 1
refuses 2 '--memory-limit wants a size or off' tune --memory-limit=0 1
refuses 2 '--dirty-decay wants a duration' tune --dirty-decay=soon 1
refuses 2 '--muzzy-decay wants a duration' tune --muzzy-decay=0.1ms 1
refuses 2 '--mallopt wants NAME=NUMBER' tune --mallopt=arena_max 1
refuses 2 '--mallopt wants trim_threshold' tune --mallopt=arenas=1 1
refuses 2 'mallopt() does not take this mmap_threshold' tune --mallopt=mmap_threshold=1G 1
refuses 2 '--option wants NAME=NUMBER' tune --option='purge_delay' 1
refuses 2 '--policy takes auto|free|dontneed|keep' tune --policy=never 1
refuses 2 '--return-within wants a duration from 10ms to 1h' tune --return-within=9ms 1
refuses 2 '--return-within wants a duration from 10ms to 1h' tune --return-within=61min 1
refuses 2 '--dry-run and --force go with a change' tune --dry-run 1
refuses 2 '--dry-run and --force go with a change' tune --force 1
refuses 3 'no process' tune --madv-free=off 4194304
shows 'Usage: ebb tune' tune --help
shows '--madv-free=on|off' tune --help

# One that sleeps, with glibc or whatever the system's C library is.
sleep 60 &
target=$!
trap 'kill $target' EXIT
run "$EBB" tune "$target"
check 'a list of what can be tuned' answered 0 out "sleep (pid $target)"
for option in --madv-free=off --gogc=50 --memory-limit=1G --dirty-decay=now \
    --background-thread=on --option=purge_delay=0 --policy=free --return-within=1s; do
    run "$EBB" tune "$option" "$target"
    check "$option: refused where there is no such runtime" ended_with 1
    check "$option: the report names what is there" says out 'and this process has'
done
run "$EBB" tune --gogc=50 --json "$target"
if says err 'built without JSON'; then
    skip 'a refusal as JSON' 'built without JSON'
else
    check 'a refusal as JSON' says out '"outcome": "refused"'
    check 'a refusal is said on stderr too' says err 'tune: --gogc is for Go'
fi

done_testing
