#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each check of scripts/style against a sample that breaks its rule, and against one that does not.
# The samples are written here, into a tree of their own, so that the real tree stays clean.
set -u
style="${SRC:?}/scripts/style"
tree="$TMPDIR/tree"
number=0
spdx='SPDX-License-Identifier: Apache-2.0'

begin() {
    rm -rf "$tree"
    mkdir -p "$tree"
}

# Writes a file from stdin; a C file gets the head that the rules ask for.
file() { # PATH
    mkdir -p "$(dirname "$tree/$1")"
    case $1 in
    *.[ch]) { printf '// %s\n// A sample for the tests of the rules.\n' "$spdx"; cat; } ;;
    *) cat ;;
    esac >"$tree/$1"
}

# Lines of code without a comment between them.
plain_lines() { # COUNT
    local i
    for ((i = 0; i < $1; i++)); do echo "int v$i;"; done
}

verdict() { # WORD DESCRIPTION
    number=$((number + 1))
    if [ "$1" = ok ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        sed 's/^/# /' "$TMPDIR/out"
    fi
}

# The check fails and names the place.
breaks() { # CHECK PATTERN
    local word=bad
    if ! "$style" --root "$tree" "$1" >"$TMPDIR/out" 2>&1 && grep -qE "$2" "$TMPDIR/out"; then
        word=ok
    fi
    verdict $word "$1 finds: $2"
}

holds() { # CHECK WHY
    local word=bad
    "$style" --root "$tree" "$1" >"$TMPDIR/out" 2>&1 && word=ok
    verdict $word "$1 accepts $2"
}

begin
echo 'int a;' >"$tree/a.c"
breaks start 'a.c:1: should be .// SPDX'
printf '// %s\nint a;\n' "$spdx" >"$tree/a.c"
breaks start 'a.c:2: should say'
printf '#!/bin/sh\n# %s\ntrue\n' "$spdx" >"$tree/a"
breaks start 'a:3: should say'
begin
echo 'int a;' | file a.c
printf '#!/bin/sh\n# %s\n# What this script is for.\ntrue\n' "$spdx" >"$tree/a"
holds start "the right head"

begin
plain_lines 699 | file tool/base/long.c
breaks sizes 'long.c:700: 701 lines'
begin
plain_lines 299 | file tool/base/long.h
breaks sizes 'long.h:300: 301 lines'
begin
{ echo 'static int'; echo 'too_long(const char *text)'; echo '{'; plain_lines 78; echo '}'; } |
    file tool/base/f.c
breaks sizes 'f.c:3: too_long\(\) has 82 lines'
begin
{ echo 'int f(void)'; echo '{'; plain_lines 77; echo '}'; plain_lines 600; } | file tool/base/f.c
{
    echo 'static const struct row rows[] = {'
    for ((i = 0; i < 100; i++)); do echo '    {"}{", ROW(1)},'; done
    echo '};'
} | file tool/base/table.c
holds sizes "what is just short enough, and long tables"

begin
printf 'int a; // %090d\n' 0 | file a.c
holds columns "100 columns"
printf 'int a; // %091d\n' 0 | file a.c
breaks columns 'a.c:3: 101 columns'

begin
plain_lines 50 | file tool/base/quiet.c
breaks comment-share 'comments are 3.8 %'
begin
for ((i = 0; i < 50; i++)); do echo '// word'; echo 'int a;'; done | file tool/base/loud.c
breaks comment-share 'comments are 51.0 %'
begin
for ((i = 0; i < 20; i++)); do
    printf '// why\nint a; int b;\nint c;\nchar *d = "/* no // comment";\n'
done | file tool/base/right.c
plain_lines 500 | file tests/unit/base/test_x.c
holds comment-share "a quarter, with tests left out"

begin
echo '// ------------- helpers' | file a.c
breaks comment-form 'a.c:3: a banner'
echo '    // text_take(view, 3);' | file a.c
breaks comment-form 'a.c:3: commented-out'
echo '// if (view->length) {' | file a.c
breaks comment-form 'a.c:3: commented-out'
printf '// see text_take(); or not\n// a list: one; two\n' | file a.c
holds comment-form "sentences"

begin
echo '#define TWICE(a) ((a) + (a))' | file a.h
breaks macros 'a.h:3: TWICE'
printf '// #define TWICE(a) 1\n#define LIMIT (3)\n' | file a.h
printf '#define FIELD(key, member) \\\n    {key, offsetof(struct row, member)}\n' | file b.h
echo '#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})' | file c.h
holds macros "constants, comments and tables of members"

begin
echo '#include "runtime/target.h"' | file tool/proc/a.c
breaks layers 'tool/proc may not include tool/runtime'
begin
echo '#include "serve/page.h"' | file tool/history/a.c
breaks layers 'tool/history may not include tool/serve'
begin
echo '#include "runtime/go/go.h"' | file tool/runtime/glibc/a.c
breaks layers 'runtime/glibc may not include runtime/go'
begin
echo '#include "lib/heap/span.h"' | file tool/proc/a.c
breaks layers 'never include each other'
begin
echo '#include <ebb/ebb.h>' | file tool/cmd/a.c
breaks layers 'never include each other'
begin
echo '#include "tool/base/text.h"' | file lib/base/a.c
breaks layers 'never include each other'
begin
echo '#include "heap/span.h"' | file lib/os/a.c
breaks layers 'lib/os may not include heap'
begin
echo '#include "profile/sample.h"' | file lib/release/a.c
breaks layers 'lib/release may not include profile'
begin
echo '#include "lib/os/map.h"' | file wire/a.h
breaks layers 'wire may include wire only'
begin
echo '#include "../proc/process.h"' | file tool/base/a.c
breaks layers "hides"
begin
echo '#include "base/text.h"' | file tool/misc/a.c
breaks layers 'tool/misc has no place'
begin
printf '#include "base/text.h"\n#include "b.h"\n#include <stdio.h>\n#include "wire/ledger.h"\n' |
    file tool/proc/a.c
printf '#include "runtime/target.h"\n#include "runtime/go/go.h"\n' | file tool/runtime/go/a.c
printf '#include "runtime/go/go.h"\n#include "image/image.h"\n' | file tool/runtime/registry.c
printf '#include "heap/span.h"\n#include "wire/ledger.h"\n#include <ebb/ebb.h>\n' |
    file lib/shim/a.c
printf '#include "survey/survey.h"\n' | file tool/render/a.c
holds layers "what the law allows"

begin
echo '#include <stdio.h>' | file tool/account/a.c
breaks pure-account '<stdio.h> in pure code'
echo 'int f(void) { return open("x", 0); }' | file tool/account/a.c
breaks pure-account 'open\(\) in pure code'
echo 'int f(void) { return process_peek(0); }' | file tool/account/a.c
breaks pure-account 'process_peek\(\) in pure code'
{
    printf '#include <string.h>\n// reading: open (x) and printf(y)\n'
    echo 'int f(void) { return strcmp("read(", ""); }'
} | file tool/account/a.c
holds pure-account "plain computing"

begin
printf 'from deb.%s.org\n' debian | file notes.md
breaks words "notes.md:1: a package mirror"
printf 'see /%s/main\n' work | file notes.md
breaks words "notes.md:1: a path"
printf 'see .%s/x\n' library | file notes.md
breaks words "notes.md:1: a path"
printf 'npm%s\n' js | file notes.md
breaks words "notes.md:1: a registry"
printf '// %s: later\n' TO''DO | file a.c
breaks words "a.c:3: unfinished"
begin
printf 'mktemp /tmp/x.XXXXXX; a network/work/y; a class.libraryName\n' | file notes.md
holds words "what only looks alike"

begin
printf 'int a; \n' | file a.c
breaks spaces "a.c:3: space at the end"
printf '\tint a;\n' | file a.c
breaks spaces "a.c:3: a tab"
printf 'int a;' | file a.c
breaks spaces "a.c:3: no newline"
begin
printf 'all:\n\ttrue\n' | file Makefile
printf 'raw  \n' | file tests/fuzz/corpus/x/raw
holds spaces "Makefiles and recorded bytes"

begin
printf '#!/bin/sh\nif true; then\n' | file a
chmod +x "$tree/a"
breaks scripts '^# a:1: '
printf '#!/bin/sh\ntrue\n' | file a
chmod -x "$tree/a"
breaks scripts 'a:1: not executable'
printf '#!/usr/bin/env python3\ndef f(:\n' | file a
chmod +x "$tree/a"
breaks scripts 'a:2: '
printf '#!/usr/bin/env bash\nx=([1]=2)\necho "${x[@]}"\n' | file a
holds scripts "a script that parses"

begin
cp "$SRC/.clang-format" "$tree"
echo 'int f(void){return 1;}' | file a.c
"$style" --root "$tree" format >"$TMPDIR/out" 2>&1
if grep -q SKIP "$TMPDIR/out"; then
    number=$((number + 1))
    echo "ok $number - format # SKIP no clang-format of version 14 to 18"
else
    breaks format 'a.c:3: clang-format differs'
fi

echo "1..$number"
