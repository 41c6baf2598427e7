#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb record: usage, refusals, and what it says. What it records is in tests/e2e/record.t.
. "$SRC/tests/cli/tap.sh"
if ! "$EBB" help record >"$TMPDIR/help" 2>&1; then
    skip "ebb record" "built without SQLite"
    done_testing
    exit 0
fi
cd "$TMPDIR" || exit 1
XDG_RUNTIME_DIR=$TMPDIR
export XDG_RUNTIME_DIR

refuses 2 "which processes?" record
refuses 2 "which command?" record --
refuses 2 "either a command behind --, or processes" record 1 -- true
refuses 2 "either a command behind --, or processes" record --all -- true
refuses 2 "either --all or TARGETs" record --all 1
refuses 2 "a command's children are followed anyway" record --follow -- true
refuses 2 "not with --proc-root" record --proc-root /x -- true
refuses 2 "--interval is from 10ms to 1h" record --interval 5ms 1
refuses 2 "--interval is from 10ms to 1h" record --interval 2h 1
refuses 2 "--for needs more than 0s" record --for 0 1
refuses 2 "--share is more than 0" record --share 0 1
refuses 2 "--share is more than 0" record --share 101% 1
refuses 2 "--share is more than 0" record --share 1.x 1
refuses 2 "is no PID, name or pattern" record ''
refuses 2 "is no PID, name or pattern" record cgroup:relative
refuses 2 "" record --nonsense 1
refuses 3 "no process 4194303" record 4194303
refuses 3 "no process matches 'no-such-process-anywhere'" record no-such-process-anywhere
refuses 3 "matches any of the TARGETs" record no-such-one no-such-other
refuses 1 "shows no processes" record --proc-root /nowhere 1
refuses 127 "no such command" record -- no-such-command-anywhere
refuses 126 "cannot run" record -- "$SRC"
refuses 1 "No such file or directory" record -o none/x.ebb --for 1s $$

run "$EBB" record -o mine.ebb --interval 100ms --for 200ms $$
check "a recording says where it is and what to do next" \
    eval 'answered 0 err "Next: ebb report mine.ebb" && says err "recording into mine.ebb"'
refuses 1 "mine.ebb is there already, and nothing is overwritten" record -o mine.ebb --for 1s $$
run "$EBB" record -o others.ebb --interval 100ms --for 100ms 4194303 $$ no-such-one
check "a TARGET that is not there, beside one that is, is told" \
    eval 'ended_with 0 && says err "no process matches '"'4194303'"'; it goes on" &&
          says err "no process matches '"'no-such-one'"'"'
run "$EBB" record -o waits.ebb --interval 100ms --for 100ms --follow 4194303 $$ no-such-one
check "with --follow a number alone, since a name may come" \
    eval 'says err 4194303 && ! says err no-such-one'
run "$EBB" record --quiet -o quiet.ebb --for 100ms $$
check "--quiet says nothing" eval 'ended_with 0 && is_quiet out && is_quiet err'

# Too few descriptors of its own hide processes: that is told as what it is.
run bash -c 'ulimit -n 5 && exec "$EBB" record --for 1s '$$
check '5 files: what would help' answered 1 err "raise it with 'ulimit -n 64'"
check '5 files: not that there are no processes' eval '! says err "shows no processes"'
run bash -c 'ulimit -n 6 && exec "$EBB" record --for 1s '$$
check '6 files: what would help' answered 1 err "raise it with 'ulimit -n 64'"

mkdir named && cd named || exit 1
run "$EBB" record --quiet -- sh -c 'echo result; exit 3'
check "a command's output is its own, and so is its status" eval 'ended_with 3 && is_quiet err &&
    [ "$(cat "$TMPDIR/out")" = result ]'
check "the file is named after the command and the time" \
    eval 'ls | grep -qxE "sh-[0-9]{8}-[0-9]{6}\.ebb"'
run "$EBB" record --quiet --for 100ms $$
check "or after the process" eval 'ls | grep -qxE "(record\.t|bash)-[0-9]{8}-[0-9]{6}\.ebb"'
done_testing
