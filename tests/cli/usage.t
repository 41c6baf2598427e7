#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Help, version, and command lines that are wrong: what is said, where, and with which status.
. "$SRC/tests/cli/tap.sh"

refuses 2 'Usage: ebb VERB'
shows 'Usage: ebb VERB' help
shows 'Usage: ebb VERB' --help
shows 'Usage: ebb VERB' -h
shows 'Usage: ebb explain' help explain
shows 'Usage: ebb explain' explain --help
shows 'Usage: ebb explain' explain 4121 -h
shows 'Usage: ebb doctor' doctor --help
shows 'ebb 0.' --version
shows 'ebb 0.' -V
shows 'ebb 0.' explain --version

refuses 2 "unknown verb 'explane'; did you mean 'explain'?" explane
refuses 2 "unknown verb 'xyzzy'" xyzzy
refuses 2 "unknown verb ''" ''
refuses 2 "unknown verb '\\x1b[31m'" $'\e[31m'
refuses 2 "'ebb explain 4121' explains a process" 4121
refuses 2 "unknown verb 'xyzzy'" help xyzzy
refuses 2 'help takes one verb' help explain doctor
refuses 2 "unknown option '--explain'" --explain
refuses 2 'the verb comes first: ebb explain' --color=never explain 1
refuses 2 "unknown verb 'xyzzy'" --color=never xyzzy

refuses 2 "unknown option '--jsno'; did you mean '--json'?" explain --jsno 1
refuses 2 "unknown option '-x' in '-bx'" explain -bx 1
refuses 2 "--color takes auto|always|never, not 'sometimes'" explain --color sometimes 1
refuses 2 '--for needs a duration' explain --for=soon 1
refuses 2 '--for needs its argument: DURATION' explain 1 --for
refuses 2 '--for needs at least 1s' explain --for=10ms 1
refuses 2 '--budget is too large' explain --budget=1000d 1
refuses 2 '--json takes no argument' explain --json=yes 1
refuses 2 'which process?' explain
refuses 2 'one TARGET at a time' explain 1 2
refuses 2 'either a TARGET or --all' explain --all 1
refuses 2 '--for watches one process' explain --all --for=10s
refuses 2 '--exit-code tells the verdict of one process' explain --all --exit-code
refuses 2 "doctor takes no '1'" doctor 1

# Where the result cannot be written, that is a failure, and said; a reader that left is no news.
run bash -c '"$EBB" help >/dev/full'
check 'a full disk is told' answered 1 err 'cannot write the result: No space left on device'
run bash -c '"$EBB" help >&-'
check 'a closed stdout is told' answered 1 err 'cannot write the result: Bad file descriptor'
run bash -c 'exec 3> >(exec true); wait $!; "$EBB" help >&3'
check 'a closed pipe ends quietly' ended_with 1
check 'a closed pipe is no news' is_quiet err
run bash -c '"$EBB" xyzzy 2>&-'
check 'a closed stderr changes nothing' ended_with 2
run bash -c '"$EBB" help <&- >"$TMPDIR/closed"'
check 'a closed stdin changes nothing' ended_with 0

done_testing
