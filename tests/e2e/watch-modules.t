#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The page's modules that need no browser: watch/modules.mjs, where there is a node.
set -eu
for name in node nodejs; do NODE=$(command -v $name) && break; done || true
[ -n "${NODE:-}" ] || {
    printf 'ok 1 - the modules # SKIP node is not installed\n1..1\n'
    exit 0
}
# Older nodes take a .js for a module only where a package says so.
mkdir -p "$TMPDIR/web"
cp "$SRC"/web/*.js "$TMPDIR/web/"
echo '{"type":"module"}' >"$TMPDIR/web/package.json"
export WEB=$TMPDIR/web
exec "$NODE" "$SRC/tests/e2e/watch/modules.mjs"
