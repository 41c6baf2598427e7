#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb balloon: its command line, and places where it does not go. Nothing here takes memory.
. "$SRC/tests/cli/tap.sh"

refuses 2 "where? --cgroup=PATH" balloon
check "both places are explained" eval 'says err "--host presses on the whole host" &&
    says err "A TARGET stands for the group"'
refuses 2 "either a TARGET" balloon --host $$
refuses 2 "either a TARGET" balloon --host --cgroup=/x
refuses 2 "either a TARGET" balloon --cgroup=/x $$
refuses 2 "one TARGET at a time" balloon 1 2
refuses 2 "--watch goes with" balloon --watch=1 $$
for until in 64M 'lazy<' 'lazy<0' 'lazy>64M' 'lazy<x' 'lazy<-1' 'lazy<99999999999999999999'; do
    refuses 2 "--until takes" balloon --host --until="$until"
done
refuses 2 "smallest step" balloon --host --size=4096
refuses 2 "--size" balloon --host --size=much
refuses 2 "--for needs" balloon --host --for=0
refuses 2 "--for needs" balloon --host --for=900ms
refuses 2 "--for needs" balloon --host --for=25h
refuses 2 "" balloon --host --nonsense
refuses 3 "4194300" balloon 4194300
refuses 3 "no-such-process-name" balloon --host --watch=no-such-process-name

run "$EBB" balloon --cgroup=/no/such/group
if says err "there is no memory cgroup"; then
    check "a group that is not there" ended_with 1
else
    check "a group that is not there" eval 'ended_with 1 || ended_with 4'
fi
refuses 1 "is no cgroup" balloon --cgroup="$TMPDIR"
refuses 1 "is no cgroup" balloon --cgroup=/proc/self/status
mkdir "$TMPDIR/$(printf 'a\033b')"
refuses 1 'a\x1bb' balloon --cgroup="$TMPDIR/$(printf 'a\033b')"

# Whatever this host is like, a plan changes nothing and answers in one of three ways.
run "$EBB" balloon --host --dry-run --size=1MiB --watch=$$
check "a plan for the host" eval 'ended_with 0 || ended_with 1 || ended_with 4'
check "it names itself" says out balloon
run "$EBB" balloon --host --dry-run --size=1MiB --watch=$$ --json
if says err "built without JSON"; then
    skip "the plan as JSON" "built without JSON"
else
    check "the plan as JSON" python3 -c '
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
assert report["lever"] == "balloon" and report["schema"] == 1
assert report["outcome"] in ("planned", "nothing", "refused"), report["outcome"]
assert all(step["state"] == "planned" for step in report["steps"])
' "$TMPDIR/out"
fi

shows "the OOM killer's first choice" balloon --help
shows "lazy<64MiB" balloon --help

done_testing
