#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb watch on the command line: what it refuses, which address it prints, ports in use, files that
# are no recordings.
# needs: EBB_WITH_SQLITE EBB_WITH_HTTP EBB_WITH_JSON
. "$SRC/tests/cli/tap.sh"

if "$EBB" watch --help 2>&1 | grep -q 'unknown verb'; then
    echo "1..0 # SKIP this build has no libmicrohttpd, SQLite or jansson"
    exit 0
fi

shows 'Usage: ebb watch [OPTION]... TARGET...' help watch

refuses 2 'what? Give PIDs' watch
refuses 2 'either TARGETs or --all' watch --all $$
refuses 2 '--interval is from 100ms to 1h' watch --interval 10ms $$
refuses 2 '--interval is from 100ms to 1h' watch --interval 2h $$
refuses 2 '--keep is shorter than --interval' watch --keep 1s --interval 2s $$
refuses 2 '--port is at most 65535' watch --port 65536 $$
refuses 2 '--port needs a' watch --port http $$
refuses 2 'a port is at most 65535' watch --listen 127.0.0.1:65536 $$
refuses 2 'leave --port out' watch --listen 127.0.0.1:80 --port 80 $$
refuses 2 '--listen takes ADDRESS:PORT' watch --listen example.com $$
refuses 2 '--listen takes ADDRESS:PORT' watch --listen 127.0.0.1:http $$
refuses 2 'IPv6 address in brackets: [::1] or [::1]:7878' watch --listen ::1 $$
refuses 2 'it needs --allow-remote' watch --listen 0.0.0.0 $$
refuses 2 'it needs --allow-remote' watch --listen '[::]:7878' $$
refuses 2 '--token takes 8 to 128' watch --token short $$
refuses 2 '--token takes 8 to 128' watch --token 'with a blank' $$
refuses 2 'is no PID, name or pattern' watch cgroup:
refuses 3 '' watch 'surely-nothing-has-this-name'
refuses 3 '' watch 4194304
refuses 1 'has no address 192.0.2.1' watch --listen 192.0.2.1 --allow-remote $$

# Files.
refuses 1 'cannot open ./gone.ebb: No such file' watch ./gone.ebb
echo "no recording" >"$TMPDIR/text.ebb"
refuses 1 'is no recording of ebb' watch "$TMPDIR/text.ebb"
: >"$TMPDIR/empty.ebb"
refuses 1 'is no recording of ebb' watch "$TMPDIR/empty.ebb"
refuses 1 "cannot open $TMPDIR/:" watch "$TMPDIR/"
refuses 1 'is no recording of ebb' watch "$TMPDIR"/$'text.ebb'
refuses 2 '--keep is for processes, not for a recording' watch --keep 1h "$TMPDIR/text.ebb"
refuses 2 '--allow-levers is for processes' watch --allow-levers "$TMPDIR/text.ebb"
mv "$TMPDIR/text.ebb" "$TMPDIR/"$'\e[31m.ebb'
refuses 1 '\x1b[31m.ebb is no recording' watch "$TMPDIR/"$'\e[31m.ebb'

# The address.
prints() { grep -Eqx -- "$2" "$TMPDIR/$1"; }
run "$EBB" watch --port 0 --for 10ms $$
check 'it ends after --for' ended_with 0
check 'the address, and nothing else' prints out 'http://127\.0\.0\.1:[0-9]+/'
run "$EBB" watch --port 0 --for 10ms --token auto $$
check 'a token stands behind #' prints out 'http://127\.0\.0\.1:[0-9]+/#token=[0-9a-f]{32}'
run "$EBB" watch --port 0 --for 10ms --token T-o_k.e~n $$
check 'one of the own choice too' prints out 'http://127\.0\.0\.1:[0-9]+/#token=T-o_k\.e~n'
echo from-a-file-17 >"$TMPDIR/token"
run "$EBB" watch --port 0 --for 10ms --token-file "$TMPDIR/token" $$
check 'and from a file' prints out 'http://127\.0\.0\.1:[0-9]+/#token=from-a-file-17'
refuses 2 'either --token or --token-file' watch --token auto --token-file "$TMPDIR/token" $$
refuses 1 'cannot read the token' watch --token-file "$TMPDIR/no-token" $$
run "$EBB" watch --port 0 --for 10ms --proc-root "$fixtures/linux-6.1-cgroup2/proc" api
check 'another proc tree' prints out 'http://127\.0\.0\.1:[0-9]+/'
refuses 3 "no process is named 'api'" watch --port 0 \
    --proc-root "$fixtures/linux-5.10-hybrid/proc" api
refuses 1 'shows no processes' watch --proc-root "$TMPDIR" --all
refuses 2 'leave --proc-root out' watch --allow-levers --proc-root "$TMPDIR" 1
run "$EBB" watch --port 0 --for 10ms --allow-levers $$
check 'levers need one' prints out 'http://127\.0\.0\.1:[0-9]+/#token=[0-9a-f]{32}'
run "$EBB" watch --listen 0.0.0.0:0 --allow-remote --for 10ms $$
check 'so do other hosts' prints out 'http://[^/]+:[0-9]+/#token=[0-9a-f]{32}'
run "$EBB" watch --for 10ms --follow 'surely-nothing-has-this-name' --port 0
check '--follow waits for a process' ended_with 0

# With no descriptor left for a client, or for anything else of its own.
run timeout -k 10 1 bash -c 'ulimit -n 6 && exec "$EBB" watch --port 0 '$$
check 'a server without descriptors ends when it is told to' ended_with 124
run bash -c 'ulimit -n 5 && exec "$EBB" watch --port 0 --all'
check '5 files: what would help' answered 1 err "raise it with 'ulimit -n 64'"

# Ports in use: an exact one is refused, with who has it; without one the next is taken.
exec 3< <(exec "$EBB" watch --port 0 $$)
server=$!
read -r address <&3
port=${address##*:}
port=${port%/}
trap 'kill "$server"; wait "$server" 2>/dev/null' EXIT
refuses 1 "port $port is in use" watch --port "$port" $$
check 'who has it is told' says err "Process $server (ebb) listens on it"
refuses 1 "port $port is in use" watch --listen "127.0.0.1:$port" $$
check 'what would help' says err 'Port 0 takes any that is free'

# Where the address cannot be written, nobody could use the server.
run bash -c '"$EBB" watch --port 0 --for 1m $$ >/dev/full'
check 'a full disk is told' answered 1 err 'cannot write the result'

done_testing
