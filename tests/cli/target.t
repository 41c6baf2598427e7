#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TARGET: what is a process, what is none, and what is said of those that have no memory.
. "$SRC/tests/cli/tap.sh"
tree=$fixtures/linux-6.1-cgroup2/proc

refuses 2 'TARGET is empty' explain ''
refuses 2 'a PID is larger than 0' explain 0
refuses 2 "'-5' is no PID" explain -5
refuses 2 "'4194305' is too large for a PID: the largest is 4194304" explain 4194305
refuses 2 'is too large for a PID' explain 99999999999999999999999999
refuses 3 'no process 4194304 (it ended or never was)' explain 4194304
refuses 3 "no process is named 'no-such-name'" explain no-such-name
refuses 3 "no process is named 'a\\x1b[2Jb'" explain $'a\e[2Jb'
refuses 3 "no process is named '--all'" explain -- --all
refuses 3 "no process is named '12x'" explain 12x

refuses 2 "2 processes are named 'nginx'; give the PID of one:" explain --proc-root "$tree" nginx
check 'each match has its PID' says err '    900  nginx'
check 'each match is listed' says err '    901  nginx'
refuses 1 'process 57: a kernel thread has no memory of its own' explain --proc-root "$tree" 57
refuses 3 'process 4200 has ended and waits for its parent 1 to collect it' \
    explain --proc-root "$tree" 4200
refuses 3 'no process 12345' explain --proc-root "$tree" 12345

mkdir "$TMPDIR/empty"
refuses 1 'shows no processes: is /proc mounted there?' explain --proc-root "$TMPDIR/empty" 1
refuses 1 'shows no processes: is /proc mounted there?' explain --proc-root "$TMPDIR/empty" name
refuses 1 'shows no processes: is /proc mounted there?' explain --proc-root "$TMPDIR/empty" --all
refuses 1 'shows no processes: is /proc mounted there?' explain --proc-root /no/such/tree 1
refuses 1 '/no/such/\x1b[31mtree shows no processes' explain --proc-root $'/no/such/\e[31mtree' 1

# A zombie of this test: the child ends, its parent does not collect it until it is told to end.
python3 -c '
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (os.wait(), os._exit(0)))
child = os.fork()
if child == 0:
    os._exit(0)
print(child, flush=True)
time.sleep(60)
' >"$TMPDIR/zombie" &
parent=$!
for _ in $(seq 100); do
    zombie=$(cat "$TMPDIR/zombie")
    [ -n "$zombie" ] && grep -q '^State:.Z' "/proc/$zombie/status" && break
    sleep 0.05
done
refuses 3 "process $zombie has ended and waits for its parent $parent (python3)" explain "$zombie"
kill "$parent"
wait "$parent" 2>/dev/null

# A thread's ID leads to its process.
python3 -c '
import threading, time
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
print(other.native_id, flush=True)
time.sleep(60)
' >"$TMPDIR/thread" &
process=$!
for _ in $(seq 100); do
    [ -s "$TMPDIR/thread" ] && break
    sleep 0.05
done
thread=$(cat "$TMPDIR/thread")
run "$EBB" explain "$thread"
check 'a thread ID is told' says err "$thread is a thread of process $process (python3)"
check 'and its process explained' says out "(pid $process)"
check 'with success' ended_with 0
kill "$process"
wait "$process" 2>/dev/null

done_testing
