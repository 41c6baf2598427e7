#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The test runner against small tests of every kind: what it counts, prints, kills and returns.
# timeout: 60
set -u
runner="${SRC:?}/tests/run"
tree="$TMPDIR/tree"
number=0

check() { # DESCRIPTION CONDITION...
    local description=$1
    shift
    number=$((number + 1))
    if "$@"; then
        echo "ok $number - $description"
    else
        echo "not ok $number - $description"
        sed 's/^/# /' "$TMPDIR/out"
    fi
}

# Makes a tree with one cli test from stdin and runs the tier over it.
run_test() { # NAME
    rm -rf "$tree"
    mkdir -p "$tree/tests/cli" "$tree/tests/style"
    { echo "#!/bin/sh"; cat; } >"$tree/tests/$1"
    chmod +x "$tree/tests/$1"
    "$runner" --source "$tree" --build "$tree/build" t0 t1 >"$TMPDIR/out" 2>&1
    status=$?
}

says() { grep -qE -- "$1" "$TMPDIR/out"; }
closes_with() { [ "$(tail -n 1 "$TMPDIR/out")" = "$1" ]; }
returned() { [ "$status" -eq "$1" ]; }
# Of this test's own process, which is named after the tree: nobody else's can match.
is_gone() { ! grep -lqs "$TMPDIR/marker" /proc/[0-9]*/cmdline; }

run_test cli/pass.t <<'END'
echo 1..2; echo ok 1 - a; echo ok 2 - b
END
check "single lines are counted" closes_with "2 passed, 0 failed, 0 skipped"
check "all passed: status 0" returned 0

run_test cli/fail.t <<'END'
echo 1..2; echo ok 1 - a; echo not ok 2 - b; echo "# the detail"; exit 1
END
check "a failure is counted once" closes_with "1 passed, 1 failed, 0 skipped"
check "a failure shows its output" says 'the detail'
check "a failure makes the status" returned 1

run_test cli/skip.t <<'END'
echo 1..2; echo ok 1 - a; echo "ok 2 - b # SKIP no moon tonight"
END
check "a skip is counted" closes_with "1 passed, 0 failed, 1 skipped"
check "a skip prints its reason" says 'skipped: no moon tonight'

run_test cli/all.t <<'END'
echo "1..0 # SKIP no sun either"
END
check "a plan of nothing with a reason is a skip" closes_with "0 passed, 0 failed, 1 skipped"
check "only skips: status 0" returned 0

run_test cli/mute.t <<'END'
echo 1..1; echo "ok 1 - b # SKIP"
END
check "a skip without a reason fails" closes_with "0 passed, 1 failed, 0 skipped"

run_test cli/plan.t <<'END'
echo 1..3; echo ok 1 - a
END
check "a plan that is not met fails" says 'planned 3 tests, ran 1'
check "a plan that is not met: status 1" returned 1

run_test cli/noplan.t <<'END'
echo ok 1 - a
END
check "no plan fails" says 'no plan'

run_test cli/bail.t <<'END'
echo 1..1; echo ok 1 - a; echo "Bail out! no database"
END
check "bailing out fails" closes_with "1 passed, 1 failed, 0 skipped"

run_test cli/empty.t </dev/null
check "a test that says nothing fails" says 'nothing was tested'

run_test cli/zero.t <<'END'
echo 1..0
END
check "an empty plan without a reason fails" says 'ran nothing'

run_test cli/crash.t <<'END'
echo 1..1; echo ok 1 - a; kill -SEGV $$
END
check "a crash after the last result fails" says 'killed by SIGSEGV'

run_test cli/status.t <<'END'
echo 1..1; echo ok 1 - a; exit 3
END
check "a bad status after good results fails" says 'exit status 3'

run_test cli/hang.t <<END
# timeout: 1
echo 1..1
setsid sh -c 'sleep 600; : $TMPDIR/marker' &
sleep 600; : $TMPDIR/marker
END
check "a test that hangs fails" says 'no end after 1 s'
check "all that it started is killed" is_gone

sed -i '/timeout/d' "$tree/tests/cli/hang.t"
timeout 2 "$runner" --source "$tree" --build "$tree/build" t1 >"$TMPDIR/out" 2>&1
for _ in $(seq 50); do
    if is_gone; then break; fi
    sleep 0.1
done
check "so it is when the runner itself is ended" is_gone

run_test cli/leave.t <<END
setsid sh -c 'sleep 600; : $TMPDIR/marker' >/dev/null 2>&1 &
echo 1..1; echo ok 1 - a
END
check "a test that leaves a process passes" closes_with "1 passed, 0 failed, 0 skipped"
check "what it left is named" says 'left running, killed: [a-z]'
check "what it left is killed" is_gone

run_test style/plain </dev/null
check "a plain executable passes by its status" closes_with "1 passed, 0 failed, 0 skipped"

run_test style/plain77 <<'END'
echo noise; echo no such compiler; exit 77
END
check "status 77 is a skip" closes_with "0 passed, 0 failed, 1 skipped"
check "its reason is the last line" says 'skipped: no such compiler'

run_test style/plain1 <<'END'
echo why; exit 1
END
check "a plain executable fails by its status" closes_with "0 passed, 1 failed, 0 skipped"

run_test cli/needs.t <<'END'
# needs: EBB_WITH_MOON EBB_WITH_SUN
echo 1..1; echo ok 1
END
check "what is not known to be off is there" closes_with "1 passed, 0 failed, 0 skipped"
mkdir -p "$tree/build"
echo EBB_WITH_MOON:BOOL=OFF >"$tree/build/CMakeCache.txt"
"$runner" --source "$tree" --build "$tree/build" t1 >"$TMPDIR/out" 2>&1
check "a test of what the build left out is skipped" says 'skipped: built without EBB_WITH_MOON$'
rm -rf "$tree/build"

run_test style/plain1 <<'END'
echo why; exit 1
END
printf '#!/bin/sh\necho 1..1; echo ok 1\n' >"$tree/tests/cli/second.t"
chmod +x "$tree/tests/cli/second.t"
"$runner" --source "$tree" --build "$tree/build" t0 t1 t1 >"$TMPDIR/out" 2>&1
check "tiers add up, each once" closes_with "1 passed, 1 failed, 0 skipped"

run_test cli/ignored </dev/null
check "nothing ran: said" says 'nothing ran'
check "nothing ran: status 1" returned 1

run_test cli/env.t <<'END'
echo 1..1
[ "$EBB" = "$BUILD/ebb" ] && [ -d "$SRC" ] && [ -d "$TMPDIR" ] && echo ok 1 || echo not ok 1
END
check "tests see EBB, BUILD, SRC and TMPDIR" closes_with "1 passed, 0 failed, 0 skipped"

# Each waits for the other: only two at a time can pass.
rm -rf "$tree"
mkdir -p "$tree/tests/e2e"
for name in one two; do
    {
        printf '#!/bin/sh\n# SPDX\n# beside: others\necho 1..1; other=%s\n' \
            "$([ $name = one ] && echo two || echo one)"
        echo "touch '$TMPDIR/came-$name'"
        # shellcheck disable=SC2016 # for the test itself
        echo 'for _ in $(seq 100); do'
        echo "    [ -e '$TMPDIR/came-'\$other ] && echo ok 1 && exit; sleep 0.05"
        echo 'done; echo not ok 1'
    } >"$tree/tests/e2e/$name.t"
done
chmod +x "$tree/tests/e2e/"*.t
"$runner" --source "$tree" --build "$tree/build" t2 >"$TMPDIR/out" 2>&1
check "those beside others run two at a time" closes_with "2 passed, 0 failed, 0 skipped"
sed -i '/beside/d' "$tree/tests/e2e/"*.t
rm "$TMPDIR"/came-*
"$runner" --source "$tree" --build "$tree/build" t2 >"$TMPDIR/out" 2>&1
check "others run one at a time" closes_with "1 passed, 1 failed, 0 skipped"
mkdir "$tree/tests/analysis"
mv "$tree/tests/e2e/two.t" "$tree/tests/analysis/two.t"
rm "$TMPDIR"/came-*
"$runner" --source "$tree" --build "$tree/build" t2 >"$TMPDIR/out" 2>&1
check "analysis runs meanwhile" closes_with "2 passed, 0 failed, 0 skipped"
rm "$TMPDIR"/came-*
"$runner" --jobs 1 --source "$tree" --build "$tree/build" t2 >"$TMPDIR/out" 2>&1
check "not so with one job" closes_with "1 passed, 1 failed, 0 skipped"

rm -rf "$tree"
mkdir -p "$tree/build/tests/unit" "$tree/build/tests"
echo unit_x >"$tree/build/tests/unit.list"
cat >"$tree/build/tests/unit/unit_x" <<'END'
#!/bin/sh
echo 1..3
echo "not ok 1 - broken"
echo "# 0x3 != 0x4"
echo "no such thing"
echo "not ok 2 # SKIP name"
echo "not ok 3 # SKIP other"
END
chmod +x "$tree/build/tests/unit/unit_x"
"$runner" --source "$tree" --build "$tree/build" t1 >"$TMPDIR/out" 2>&1
check "a unit test's reason is the line before" says 'skipped: name: no such thing'
check "a unit test's skip without a reason fails" closes_with "0 passed, 2 failed, 1 skipped"

echo "1..$number"
