#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb run: its command line, what it says before it becomes a command, and its exit status.
. "$SRC/tests/cli/tap.sh"

refuses 2 'which command?' run
refuses 2 'which command?' run --madv-free=off
refuses 2 'which command?' run --madv-free=off --
refuses 2 'give it a policy' run true
refuses 2 '--madv-free takes off|on' run --madv-free=no true
refuses 2 '--madv-free takes off|on' run --madv-free true
refuses 2 '--check looks whether --madv-free=off works' run --check --malloc=glibc true
refuses 2 '--check looks whether --madv-free=off works' run --check --madv-free=on true
refuses 2 '--check needs more than 0s' run --madv-free=off --check=0 true
refuses 2 '--check needs a duration' run --madv-free=off --check=soon true
refuses 2 '--limit needs at least 1MiB' run --limit=1023K true
refuses 2 '--limit needs a size' run --limit=lots true
refuses 2 '--json is for --dry-run' run --madv-free=off --json true
refuses 2 '--malloc needs a value, not an empty one' run --malloc= true
refuses 2 "unknown option '--madvfree'; did you mean '--madv-free'?" run --madvfree=off true

refuses 127 "cannot run 'no-such-command': no such command" run --madv-free=off no-such-command
refuses 127 "cannot run '/no/such/file': no such command" run --madv-free=off /no/such/file
refuses 126 "cannot run '/etc/passwd': Permission denied" run --madv-free=off /etc/passwd
refuses 126 "cannot run '/': Permission denied" run --madv-free=off /
refuses 127 "cannot run '\\x1b[31m'" run --madv-free=off $'\e[31m'
refuses 127 "cannot run ''" run --madv-free=off ''

# What follows the command is its own.
run "$EBB" run --madv-free=off echo --check --version -- -n
check "a command's options stay its own" answered 0 out '--check --version -- -n'
run "$EBB" run --madv-free=off -- echo -- -v
check 'one -- is taken, in front of the command' answered 0 out '-- -v'
run "$EBB" run --help true
check 'help is asked for before the command' answered 0 out 'Usage: ebb run'
run "$EBB" run --madv-free=off -- sh -c 'exit 9'
check 'the exit status is the command'"'"'s' ended_with 9

shows 'set GODEBUG=madvdontneed=1' run --madv-free=off --dry-run true
shows 'set MALLOC_CONF=muzzy_decay_ms:0' run --madv-free=off -n true
shows 'answer EINVAL to madvise(MADV_FREE)' run --madv-free=off -n true
shows 'watch for 5 s whether LazyFree stays 0' run --madv-free=off --check -n true
shows 'watch for 0.25 s whether LazyFree stays 0' run --madv-free=off --check=250ms -n true
shows 'set GODEBUG=madvdontneed=0' run --madv-free=on -n true
run "$EBB" run --madv-free=on -n true
check 'on installs no filter' eval '! says out EINVAL'
run "$EBB" run --madv-free=off --dry-run sh -c "touch $TMPDIR/started"
check 'a dry run starts nothing' test ! -e "$TMPDIR/started"
run env GODEBUG=madvdontneed=1 "$EBB" run --madv-free=off -n true
check 'what is so already is told' answered 0 out 'it is so already'
run "$EBB" run --madv-free=off -n no-such-command
check 'a dry run of no command' eval 'ended_with 127 && says out "no such command"'

run "$EBB" run --madv-free=off -v true
check 'verbose says it in one line' eval '[ "$(wc -l <"$TMPDIR/err")" -eq 1 ] &&
    says err "set GODEBUG=madvdontneed=1; " && says err "; execute /"'
run "$EBB" run --madv-free=off true
check 'otherwise it says nothing' eval 'is_quiet out && is_quiet err && ended_with 0'

run "$EBB" run --madv-free=off --dry-run --json true
if says err 'built without JSON'; then
    skip 'the plan as JSON' 'built without JSON'
else
    check 'the plan as JSON' python3 - "$TMPDIR/out" <<'END'
import json, sys
plan = json.load(open(sys.argv[1], encoding="utf-8"))
assert plan["lever"] == "run" and plan["outcome"] == "planned" and plan["name"] == "true"
assert all(step["state"] == "planned" for step in plan["steps"])
END
fi

done_testing
