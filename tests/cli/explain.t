#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb explain of a live process: the rows sum, forms and statuses agree, colours follow the rules.
# needs: EBB_WITH_JSON
. "$SRC/tests/cli/tap.sh"

sleep 60 &
target=$!
trap 'kill "$target"; wait "$target" 2>/dev/null' EXIT
# Until it has called exec, it is still a shell.
for _ in $(seq 100); do
    [ "$(cat "/proc/$target/comm")" = sleep ] && break
    sleep 0.02
done

has_escape() { grep -q $'\e' "$TMPDIR/$1"; }
has_no_escape() { [ -s "$TMPDIR/$1" ] && ! has_escape "$1"; }

shows "(pid $target)" explain "$target"
check 'no colours where stdout is no terminal' has_no_escape out
run "$EBB" explain --color=always "$target"
check '--color=always has colours' has_escape out

run "$EBB" explain --json "$target"
check 'JSON: success' ended_with 0
check 'JSON: the process' json "it['pid'] == $target and it['name'] == 'sleep'"
check 'JSON: rows sum to RSS' json 'sum(row["bytes"] for row in it["account"]) == it["rss_bytes"]'
check 'JSON: effective RSS' json 'it["effective_rss_bytes"] == it["rss_bytes"] - it["lazy_bytes"]'
code=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["verdict"]["code"])' <"$TMPDIR/out")
run "$EBB" explain --exit-code "$target"
check '--exit-code is 10 + the verdict' ended_with $((10 + code))
run bash -c '"$EBB" explain --exit-code '"$target"' >/dev/full'
check 'a verdict that cannot be written is a failure' ended_with 1

run "$EBB" explain --for 1s --json "$target"
check '--for watches' ended_with 0
check '--for shows no progress where stderr is no terminal' is_quiet err

run "$EBB" explain --all --json
check '--all: success' ended_with 0
check '--all: has the process' json "any(row['pid'] == $target for row in it['processes'])"
run "$EBB" explain --all
check '--all: a line for the process' grep -qE "^ *$target +sleep " "$TMPDIR/out"

# Limits of its own, as a service's shell may have them: what would help, and never a crash. A
# sanitizer's frames are several times as large.
if ! grep -q '^EBB_SANITIZE:[A-Z]*=.' "$BUILD/CMakeCache.txt"; then
    run bash -c 'ulimit -s 80 && exec "$EBB" explain '"$target"
    check 'a stack of 80 KiB: the account' answered 0 out 'Verdict:'
    run bash -c 'ulimit -s 80 && exec "$EBB" explain --all'
    check 'a stack of 80 KiB: --all' ended_with 0
    run bash -c 'ulimit -s 80 && exec "$EBB" doctor'
    check 'a stack of 80 KiB: doctor' answered 0 out 'Memory group'
fi
run bash -c 'ulimit -n 8 && exec "$EBB" explain '"$target"
check '8 files: an account, and what would help' answered 0 out 'more open files'
run bash -c 'ulimit -n 5 && exec "$EBB" explain '"$target"
check '5 files: what would help' answered 1 err 'ulimit -n'

# On a terminal, by way of a pseudo-terminal.
on_terminal() {
    run env -u NO_COLOR TERM=xterm "$@" python3 -c '
import os, pty, sys
out = os.open(sys.argv[1], os.O_WRONLY)
def read(fd):
    data = os.read(fd, 4096)
    os.write(out, data)
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))' \
        "$TMPDIR/terminal" "$EBB" explain "$target"
}
: >"$TMPDIR/terminal"
on_terminal
check 'colours on a terminal' has_escape terminal
: >"$TMPDIR/terminal"
on_terminal NO_COLOR=1
check 'no colours with NO_COLOR' has_no_escape terminal
: >"$TMPDIR/terminal"
on_terminal TERM=dumb
check 'no colours on a dumb terminal' has_no_escape terminal

# Somebody else's process: as root by giving up root, else by looking at root's.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    run setpriv --reuid=65534 --regid=65534 --clear-groups "$EBB" explain "$target"
    check 'without an account the exit status says not permitted' ended_with 4
    check 'what can be read is printed, and what could not' says out 'Could not read'
else
    skip 'a partial reading' 'needs root and setpriv'
fi

done_testing
