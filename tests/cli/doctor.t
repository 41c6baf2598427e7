#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ebb doctor: here, in trees of other kernels, and where there is no tree.
. "$SRC/tests/cli/tap.sh"

# item ID STATUS: the last JSON has that item with that status.
item() {
    python3 - "$TMPDIR/out" "$1" "$2" <<'EOF'
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
assert report["schema"] == 1
found = [item for item in report["items"] if item["id"] == sys.argv[2]]
sys.exit(0 if [item["status"] for item in found] == [sys.argv[3]] else 1)
EOF
}
has_escape() { grep -q $'\033' "$TMPDIR/out"; }
is_plain() { ! has_escape; }
fits() { ! grep -qE '^.{81}' "$TMPDIR/out"; }

run "$EBB" doctor
check "the doctor answers here" answered 0 out "Here and now"
check "it names the kernel" says out "$(uname -r)"
check "no escape sequences into a file" is_plain
run "$EBB" doctor --color=always
check "colours where asked" has_escape

with_json=yes
run "$EBB" doctor --json
if says err "built without JSON"; then with_json=; fi

# tree NAME ID STATUS...: what the doctor says of a fixture.
tree() {
    local name=$1
    shift
    run "$EBB" doctor --proc-root "$fixtures/$name/proc"
    check "$name: text" answered 0 out "Traps of this host"
    check "$name: plain and within 80 columns" eval 'is_plain && fits'
    if [ -z "$with_json" ]; then
        skip "$name: JSON" "built without JSON"
        return
    fi
    run "$EBB" doctor --json --proc-root "$fixtures/$name/proc"
    while [ $# -gt 1 ]; do
        check "$name: $1 is $2" item "$1" "$2"
        shift 2
    done
}

tree linux-4.18-cgroup1 madv_free info lazy_free info smaps_rollup ok madv_pageout missing \
    process_madvise missing o_direct limited explain limited
tree linux-5.10-hybrid pressure ok process_madvise info pagemap_scan missing o_direct limited
tree linux-6.1-cgroup2 pressure ok working_set info ptrace_scope limited
tree linux-6.18-cgroupns pagemap_scan info madv_pageout ok
tree hostile pressure missing ptrace_scope info

# 4.4 has nothing that frees lazily, so it has none of the traps either.
run "$EBB" doctor --proc-root "$fixtures/linux-4.4-cgroup1/proc"
check "4.4: no lazily freed memory" answered 0 out "always 0"
check "4.4: no traps" eval '! says out "Traps of this host"'

# libebb: as it was built beside ebb, or not at all.
run "$EBB" doctor
if [ -e "$(dirname "$EBB")/libebb.so" ] || [ -e "$(dirname "$EBB")/lib/libebb.so" ]; then
    check "libebb with its version" grep -qE 'malloc=ebb +libebb [0-9]+\.[0-9]+' "$TMPDIR/out"
else
    skip "libebb with its version" "it was not built beside ebb"
fi
mkdir "$TMPDIR/alone"
cp "$EBB" "$TMPDIR/alone/ebb"
run "$TMPDIR/alone/ebb" doctor
if ldconfig -p | grep -q 'libebb\.so'; then
    skip "no libebb" "one is installed here"
else
    check "no libebb" answered 0 out "libebb is not installed"
fi

run "$EBB" doctor --proc-root /nonexistent
check "no tree: a message" says err /nonexistent
check "no tree: no result" eval '! ended_with 0 && is_quiet out'
refuses 2 "" doctor operand
refuses 2 "" doctor --nonsense

done_testing
