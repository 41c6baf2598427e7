#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/deps with a PATH of stand-ins: what it says, asks apt for, and leaves behind. Nothing is
# installed and nothing outside of TMPDIR is touched: "sudo" only writes down what it was told.
set -u
number=0
bin="$TMPDIR/bin"

check() { # DESCRIPTION COMMAND...
    local description=$1
    shift
    number=$((number + 1))
    if "$@"; then
        echo "ok $number - $description"
    else
        echo "not ok $number - $description"
        sed 's/^/# /' "$TMPDIR/out" "$TMPDIR/said" 2>/dev/null
    fi
}

stand_in() { # NAME; the script is on stdin
    { echo '#!/bin/sh'; cat; } >"$bin/$1"
    chmod +x "$bin/$1"
}

# A machine with a compiler and the libraries but without cmake and ninja.
begin() {
    rm -rf "$bin" "$TMPDIR/tree"
    mkdir -p "$bin" "$TMPDIR/tree/scripts"
    cp "$SRC/scripts/deps" "$TMPDIR/tree/scripts/deps"
    local tool
    for tool in sh dirname cat tr grep sed sort mktemp mkdir awk date rm env tail ln; do
        ln -s "$(command -v $tool)" "$bin/$tool"
    done
    stand_in gcc </dev/null
    stand_in pkg-config </dev/null
    stand_in npm </dev/null
    echo 'echo 1000' | stand_in id
    : >"$TMPDIR/said"
}

add_apt() { # KNOWN_PACKAGES
    stand_in apt-get </dev/null
    stand_in apt-cache <<END
shift
for name; do
    case " $1 " in *" \$name "*) printf '%s:\n  Candidate: 1.0\n' "\$name" ;; esac
done
END
}

# Tells what it was told, and puts into place what an installation would.
add_sudo() {
    stand_in sudo <<END
echo "\$*" >>"$TMPDIR/said"
case "\$*" in
*tee*) cat >/dev/null ;;
*" install "*) ln -sf gcc "$bin/cmake"; ln -sf gcc "$bin/ninja" ;;
esac
END
}

run() { # WORD...
    PATH=$bin "$bin/sh" "$TMPDIR/tree/scripts/deps" "$@" >"$TMPDIR/out" 2>&1 </dev/null
    status=$?
}

says() { grep -qE -- "$1" "$TMPDIR/out"; }
was_told() { grep -qE -- "$1" "$TMPDIR/said"; }
was_not_told() { ! was_told "$1"; }
returned() { [ "$status" -eq "$1" ]; }
# A machine that has a policy keeps it: then there is nothing to make and nothing to remove.
policy_is_removed() {
    local made removed
    made=$(grep -c 'tee /usr/sbin/policy-rc.d' "$TMPDIR/said")
    removed=$(grep -c 'rm -f /usr/sbin/policy-rc.d' "$TMPDIR/said")
    [ "$made" = "$removed" ] && { [ -e /usr/sbin/policy-rc.d ] || [ "$made" = 1 ]; }
}

is_silent() { [ ! -s "$TMPDIR/out" ]; }

begin
ln -s gcc "$bin/cmake"
ln -s gcc "$bin/ninja"
run build
check "all there: silent" is_silent
check "all there: status 0" returned 0

begin
run build
check "no apt-get: the list" says '^  cmake ninja-build$'
check "no apt-get: status 1" returned 1

begin
add_apt "cmake ninja-build"
run build
check "neither root nor sudo: said" says 'needs root or sudo'
check "neither root nor sudo: status 1" returned 1

begin
add_apt "cmake ninja-build"
add_sudo
run build
check "the list comes first" says '^ebb: not installed here: cmake ninja-build$'
check "it is installed" was_told 'install --no-install-recommends cmake ninja-build'
check "without questions" was_told 'DEBIAN_FRONTEND=noninteractive'
check "what apt knows needs no update" was_not_told ' update'
check "status 0" returned 0
check "services stay off only for that time" policy_is_removed

begin
add_apt "cmake"
add_sudo
run build
check "what apt does not know is looked up once" was_told ' update'
check "something needed is not to be had: said" says 'does not know: ninja-build'
check "something needed is not to be had: status 1" returned 1

begin
ln -s gcc "$bin/cmake"
ln -s gcc "$bin/ninja"
ln -s gcc "$bin/clang"
add_apt ""
add_sudo
EBB_NO_INSTALL=1 run fuzz
check "EBB_NO_INSTALL: nothing is installed" was_not_told 'install'

begin
ln -s gcc "$bin/cmake"
ln -s gcc "$bin/ninja"
ln -s gcc "$bin/python3"
add_apt ""
add_sudo
run test
check "something optional is not to be had: said" says 'not to be had here.*shellcheck'
check "something optional is not to be had: status 0" returned 0
run test
check "and not looked for again" is_silent

# apt refuses shellcheck, and so any list with it.
begin
ln -s gcc "$bin/cmake"
ln -s gcc "$bin/ninja"
add_apt "python3 shellcheck zsh"
add_sudo
stand_in sudo <<END
echo "\$*" >>"$TMPDIR/said"
case "\$*" in
*tee*) cat >/dev/null ;;
*shellcheck*) exit 100 ;;
*" install "*) ln -sf gcc "$bin/\${*##* }" ;;
esac
END
run test
check "one that cannot be installed is left out: said" says 'going on without shellcheck'
check "one that cannot be installed: the others are" test -e "$bin/python3" -a -e "$bin/zsh"
check "one that cannot be installed: status 0" returned 0

run nonsense
check "an unknown word is a usage error" returned 2
echo "1..$number"
