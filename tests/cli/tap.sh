# SPDX-License-Identifier: Apache-2.0
# What shell tests share: run it, look at what it said, count in TAP.
# shellcheck shell=bash disable=SC2034
# EBB, BUILD, SRC and TMPDIR come from tests/run.
set -u
: "${EBB:?}" "${SRC:?}" "${TMPDIR:?}"

number=0
ran=
status=0
fixtures=$SRC/tests/fixtures/proc

# Runs a command; what it said is in $TMPDIR/{out,err}, how it ended in $status.
run() {
    ran=$*
    status=0
    "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null || status=$?
}

# verdict WORD DESCRIPTION: one line of TAP, and what was said where it failed.
verdict() {
    local description=${2//[^[:print:]]/?}
    number=$((number + 1))
    if [ "$1" = ok ]; then
        echo "ok $number - $description"
        return
    fi
    echo "not ok $number - $description"
    {
        echo "command: $ran"
        echo "status: $status"
        sed 's/^/out: /' "$TMPDIR/out"
        sed 's/^/err: /' "$TMPDIR/err"
    } | sed 's/^/# /'
}

# check DESCRIPTION COMMAND...: ok when the command succeeds.
check() {
    local description=$1
    shift
    if "$@"; then verdict ok "$description"; else verdict bad "$description"; fi
}

# succeeds DESCRIPTION COMMAND...: ok when the command does; what it said is shown where it fails.
succeeds() {
    local description=$1
    shift
    run "$@"
    check "$description" ended_with 0
}

ended_with() { [ "$status" -eq "$1" ]; }
says() { grep -qF -- "$2" "$TMPDIR/$1"; }
is_quiet() { [ ! -s "$TMPDIR/$1" ]; }

# The last run ended with status $1, said nothing on the other stream, and $3 on stream $2.
answered() {
    local other=err
    [ "$2" = err ] && other=out
    ended_with "$1" && is_quiet "$other" && says "$2" "$3"
}

# json EXPRESSION: true of the last output, parsed as `it`.
json() {
    python3 -c 'import json, sys
it = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$TMPDIR/out" "$1"
}

# refuses STATUS TEXT ARGUMENT...: ebb says TEXT on stderr, nothing on stdout.
refuses() {
    local want=$1 text=$2
    shift 2
    run "$EBB" "$@"
    check "status $want for: $*" answered "$want" err "$text"
}

# shows TEXT ARGUMENT...: ebb says TEXT on stdout, nothing on stderr, and succeeds.
shows() {
    local text=$1
    shift
    run "$EBB" "$@"
    check "shows '$text' for: $*" answered 0 out "$text"
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

done_testing() { echo "1..$number"; }
