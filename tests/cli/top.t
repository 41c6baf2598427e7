#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb top on the command line: what it refuses, and the table and JSON of --once.
# needs: EBB_WITH_JSON EBB_WITH_NCURSES
. "$SRC/tests/cli/tap.sh"

refuses 2 'the live screen needs a terminal' top
refuses 2 '--interval is from 100ms' top --once --interval 1ms
refuses 2 'is no PID, name or pattern' top --once cgroup:
refuses 2 '--sort' top --once --sort colour
refuses 1 'shows no processes' top --once --proc-root "$TMPDIR/nowhere"

sleep 60 &
target=$!
trap 'kill "$target"; wait "$target" 2>/dev/null' EXIT
for _ in $(seq 100); do
    [ "$(cat "/proc/$target/comm")" = sleep ] && break
    sleep 0.02
done

refuses 3 'no process 4194303' top --once 4194303
refuses 3 "no process matches 'surely-nothing*'" top --json 'surely-nothing*'
refuses 3 'matches any of the TARGETs' top --once 'surely-nothing*' 'name:nor-this'
refuses 3 'no process matches' top --once cgroup:/surely/nothing

shows 'EFFECTIVE' top --once "$target"
check 'the process is in the table' says out "$target  sleep"
check 'nothing else is' [ "$(wc -l <"$TMPDIR/out")" -eq 2 ]
run "$EBB" top --json "$target"
check 'JSON: success' ended_with 0
check 'JSON: one process' json "[row['pid'] for row in it['processes']] == [$target]"
check 'JSON: effective RSS' json 'all(
    row["effective_rss_bytes"] == row["rss_bytes"] - row["lazy_bytes"] for row in it["processes"])'
check 'JSON: a verdict' \
    json 'it["processes"][0]["verdict"] in ("files", "in-use", "kept", "unknown")'
run "$EBB" top --once --filter "surely-nothing-has-this-name"
check 'a filter without a match leaves the heading' [ "$(wc -l <"$TMPDIR/out")" -eq 1 ]
run "$EBB" top --once --sort pid
check 'by PID: ascending' bash -c 'awk "NR > 1 { print \$1 }" "$TMPDIR/out" | sort -nc'
run "$EBB" top --json --sort rss --reverse
check 'by RSS, turned round: ascending' \
    json 'it["processes"] == sorted(it["processes"], key=lambda row: row["rss_bytes"])'
shows 'STARTS/MIN' top --once --group-by name
run "$EBB" top --json -g name "$target" $$
check 'JSON by name: success' ended_with 0
check 'JSON by name: groups with sums' json '[group["name"] for group in it["groups"]] and all(
    group["processes"] == 1 and "pid" not in group and group["starts_per_minute"] >= 0
    for group in it["groups"])'
run bash -c '"$EBB" top --once >/dev/full'
check 'a table that cannot be written is a failure' ended_with 1
done_testing
