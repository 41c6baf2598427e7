#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Man pages are troff without warnings, and completions propose what the tables have.
# needs: EBB_WITH_SQLITE EBB_WITH_HTTP EBB_WITH_JSON
. "$SRC/tests/cli/tap.sh"

run "$SRC/docs/man/generate" "$EBB" "$TMPDIR/generated"
check 'man pages and completions are made' ended_with 0
for page in ebb ebb-explain ebb-doctor; do
    check "there is $page.1" test -s "$TMPDIR/generated/man1/$page.1"
done
# Rows and verdicts, as the documents have them, stand in the page that all others point to.
explains() { grep -qx "\.B $(printf %s "$1" | sed 's/-/\\\\-/')" "$TMPDIR/generated/man1/ebb.1"; }
# shellcheck disable=SC2016 # these backticks are Markdown's
while IFS= read -r word; do
    check "ebb.1 explains: $word" explains "$word"
done < <(sed -n 's/^| \([a-z][a-z ]*\) (`[a-z_]*`) |.*/\1/p
                 s/^| [1-7] | `\([a-z-]*\)` |.*/\1/p' "$SRC/docs/account.md")
if command -v groff >/dev/null; then
    run groff -man -Tutf8 -ww -z "$TMPDIR"/generated/man1/*.1
    check 'the man pages have no warnings' is_quiet err
else
    skip 'the man pages have no warnings' 'groff is not installed'
fi
for shell in bash/ebb zsh/_ebb fish/ebb.fish; do
    if command -v "${shell%%/*}" >/dev/null; then
        run "${shell%%/*}" -n "$TMPDIR/generated/$shell"
        check "${shell%%/*} can read its completion" ended_with 0
    else
        skip "${shell%%/*} can read its completion" "${shell%%/*} is not installed"
    fi
done
: >"$TMPDIR/night one.ebb"
refuses 2 'takes one shell: bash, zsh or fish' __completion tcsh

# proposes WORDS TYPED...: what bash proposes for the last word.
proposes() {
    local want=$1
    shift
    # shellcheck disable=SC1091
    run bash -c '. "$TMPDIR/generated/bash/ebb"
        compopt() { :; }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _ebb
        wait
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
    check "bash completes: $*" says out "$want"
}
proposes explain ebb e
proposes "$TMPDIR/night one.ebb" ebb report "$TMPDIR/nig"
proposes "$$" ebb record "$$"
proposes "$$" ebb top "$$"
proposes --json ebb explain --j
proposes always ebb explain --color al
proposes always ebb explain --color = al
proposes explain ebb help ''
proposes "$$" ebb explain "$$"
proposes bash ebb explain bas
proposes --madv-free ebb run --m
proposes off ebb run --madv-free ''
proposes bash ebb run --limit 1G --check bas
proposes bash ebb run --limit = 1G -- bas
proposes --dry-run ebb run --check --dr

if command -v fish >/dev/null; then
    # shellcheck disable=SC2016
    run fish -c 'source $argv[1]; complete -C "ebb explain --exi"' "$TMPDIR/generated/fish/ebb.fish"
    check 'fish completes an option' says out '--exit-code'
    # shellcheck disable=SC2016
    run fish -c 'source $argv[1]; cd $TMPDIR; complete -C "ebb report nig"' \
        "$TMPDIR/generated/fish/ebb.fish"
    check 'fish completes a recording' says out 'night'
    # shellcheck disable=SC2016
    run fish -c 'source $argv[1]; complete -C "ebb run bas"' "$TMPDIR/generated/fish/ebb.fish"
    check 'fish completes a command' says out 'bash'
else
    skip 'fish completes an option' 'fish is not installed'
fi

# A process may be called anything: nothing of a name is ever run.
# shellcheck disable=SC2016
hostile='$(touch x)'
cp "$(command -v sleep)" "$TMPDIR/$hostile"
cd "$TMPDIR" || exit 1
"./$hostile" 60 &
odd=$!
proposes bash ebb explain ''
check 'a hostile process name is not run' test ! -e "$TMPDIR/x"
kill "$odd"
wait "$odd" 2>/dev/null

done_testing
